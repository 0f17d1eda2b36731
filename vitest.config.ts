import { defineConfig } from 'vitest/config';

const long = { testTimeout: 600_000, hookTimeout: 600_000 };

const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts', 'test/types/**/*.test.ts', 'test/tidy/**/*.test.ts'], testTimeout: 30_000 } },
      { test: { name: 'sim', include: ['test/chaos/simulated/**/*.test.ts'], ...long } },
      { test: { name: 'docs', include: ['test/docs/**/*.test.ts'], ...long } },
      { test: { name: 'process', include: ['test/chaos/process/**/*.test.ts', 'test/examples/**/*.test.ts'], fileParallelism: false, ...long } },
    ],
  },
});

export default config;
