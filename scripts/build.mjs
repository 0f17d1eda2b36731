// Builds the package into dist/ and the examples into examples/build/. The examples import the package by its name, so it comes first.
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

for (const output of ['dist', 'examples/build']) rmSync(`${root}/${output}`, { recursive: true, force: true });
for (const project of ['tsconfig.build.json', 'examples/tsconfig.json']) {
  const { status } = spawnSync(process.execPath, [tsc, '-p', project], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
// npm makes the command executable where it installs it; this is for the clone.
chmodSync(`${root}/dist/cli/main.js`, 0o755);
