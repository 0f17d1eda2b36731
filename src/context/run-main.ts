// What a main module calls under a process manager: open, start, signals, wait, exit code. The one place that touches signals and the exit code of the process.
import { pino } from 'pino';
import { EXIT_CODES, exitCodeOf, StreamError, toError, type ExitCode } from '../core/errors.ts';
import type { Logger } from '../env/env.ts';
import type { GetOrCreateOptions } from './opening-options.ts';
import { StreamingContext } from './streaming-context.ts';

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Stops the context gracefully at the first signal, at once at the second. */
function listenForSignals(context: StreamingContext, logger: Logger): () => void {
  let received = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    received += 1;
    if (received > 1) {
      logger.warn({ signal }, 'second signal: stopping at once');
      process.exit(EXIT_CODES.unexpected);
    }
    logger.info({ signal }, 'stopping gracefully');
    // A failure of the stop reaches awaitTermination.
    context.stop().catch(() => undefined);
  };
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  return () => {
    for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
  };
}

async function runToEnd(
  directory: string,
  create: () => StreamingContext | Promise<StreamingContext>,
  options: GetOrCreateOptions & { readonly logger: Logger },
): Promise<ExitCode> {
  try {
    const context = await StreamingContext.getOrCreate(directory, create, options);
    const stopListening = listenForSignals(context, options.logger);
    try {
      await context.start();
      await context.awaitTermination();
    } finally {
      stopListening();
    }
    return EXIT_CODES.clean;
  } catch (thrown) {
    const error = toError(thrown);
    const exitCode = exitCodeOf(error);
    options.logger.error({ err: error, code: error instanceof StreamError ? error.code : undefined, exitCode }, 'driver ends');
    return exitCode;
  }
}

/**
 * Runs a program as a process: opens the store, starts, stops gracefully at SIGTERM or SIGINT and at once at the second, and ends the process with the exit code of the outcome:
 * 0 stopped cleanly, 1 unexpected failure, 64 usage, 73 locked or fenced, 74 storage, 78 corruption. A supervisor restarts 1, 74 and signals only.
 *
 * @param directory - The store directory.
 * @param create - Builds the program.
 * @param options - As for `getOrCreate`: with `drain` the process ends with 0 when it has finished what was there; `logger` defaults to pino on standard error.
 * @returns Never in practice: the process ends.
 * @example
 * ```ts
 * import { runMain, seconds, StreamingContext } from 'millrace';
 *
 * function create(): StreamingContext {
 *   const context = new StreamingContext({ appName: 'lines', batchInterval: seconds(1) });
 *   context.socketTextStream('localhost', 9999).print();
 *   return context;
 * }
 *
 * setTimeout(() => process.kill(process.pid, 'SIGTERM'), 500);
 * await runMain('./data', create);
 * ```
 */
export async function runMain(directory: string, create: () => StreamingContext | Promise<StreamingContext>, options: GetOrCreateOptions = {}): Promise<void> {
  const logger: Logger = options.env?.logger ?? options.logger ?? pino({ name: 'millrace' }, pino.destination({ dest: 2, sync: true }));
  const code = await runToEnd(
    directory,
    create,
    options.env === undefined ? { ...options, logger } : ({ ...options, logger } as GetOrCreateOptions & { readonly logger: Logger }),
  );
  process.exit(code);
}
