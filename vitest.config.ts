import { defineConfig } from 'vitest/config';

const long = { testTimeout: 900_000, hookTimeout: 900_000 };

const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    maxWorkers: 2,
    reporters: ['default', './test/support/plain-reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts', 'test/types/**/*.test.ts', 'test/tidy/**/*.test.ts'],
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      { test: { name: 'docs', include: ['test/docs/**/*.test.ts'], sequence: { groupOrder: 0 }, ...long } },
      { test: { name: 'sim', include: ['test/chaos/simulated/**/*.test.ts'], sequence: { groupOrder: 1 }, ...long } },
      {
        test: {
          name: 'process',
          include: ['test/chaos/process/**/*.test.ts', 'test/examples/**/*.test.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          ...long,
        },
      },
    ],
  },
});

export default config;
