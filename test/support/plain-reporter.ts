// Prints what was not run and why, and the one line that tells any tool how the run ended: `N passed, N failed`. A file that could not be loaded counts as a failure.
import type { Reporter, TestModule } from 'vitest/node';

export default class PlainReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    const notRun: string[] = [];
    for (const module of modules) {
      let own = 0;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') passed += 1;
        else if (result.state === 'failed') own += 1;
        // A test that was left out by its name was not asked for.
        else if (result.state === 'skipped' && result.note !== undefined) notRun.push(`NOT RUN: ${test.fullName}: ${result.note}`);
      }
      failed += own === 0 && module.state() === 'failed' ? 1 : own;
    }
    for (const line of notRun) process.stdout.write(`\n${line}`);
    process.stdout.write(`\n${passed} passed, ${failed} failed${notRun.length === 0 ? '' : `, ${notRun.length} skipped`}\n`);
  }
}
