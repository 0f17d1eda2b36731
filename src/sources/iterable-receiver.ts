// Anything that can be iterated as a receiver. With a position for each record it begins where the log ends; without, what was in flight at a crash is lost.
import { SourceError, StreamError, toError } from '../core/errors.ts';
import type { Receiver, ReceiverContext } from './receiver.ts';

const PARTITION = 'iterable';

/** What gives the records: an iterable that is iterated once, or a function that makes one, beginning at a position or before. */
export type AsyncSource<T> = AsyncIterable<T> | Iterable<T> | ((from: number) => AsyncIterable<T> | Iterable<T>);

/** The position of a record: whole numbers that grow, from 0. */
export type PositionOf<T> = (record: T) => number;

function checkedPosition(position: number, record: { readonly held: number; readonly next: number; readonly stream: string }): number {
  const { next, stream } = record;
  if (Number.isSafeInteger(position) && position >= 0 && (next === record.held || position >= next)) return position;
  throw new SourceError(
    'STREAM_SOURCE_PROTOCOL',
    `Cannot take a record of "${stream}" as its position must be a whole number of ${next} or more, since positions grow: found ${String(position)}`,
  );
}

/** Resolves when the receiver must stop. */
function untilStopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function iteratorOf<T>(iterable: AsyncIterable<T> | Iterable<T>): AsyncIterator<T> | Iterator<T> {
  return Symbol.asyncIterator in iterable ? iterable[Symbol.asyncIterator]() : iterable[Symbol.iterator]();
}

/** The records of an iterable until it ends or the receiver must stop, also while it waits for its next record. */
async function* recordsUntilStopped<T>(iterable: AsyncIterable<T> | Iterable<T>, context: ReceiverContext<T>): AsyncGenerator<T> {
  const { signal } = context;
  const iterator = iteratorOf(iterable);
  let stop: (() => void) | undefined;
  const onAbort = (): void => stop?.();
  signal.addEventListener('abort', onAbort);
  try {
    for (;;) {
      await context.ready();
      const coming = iterator.next();
      const result = !(coming instanceof Promise)
        ? coming
        : await new Promise<IteratorResult<T, unknown>>((resolve, reject) => {
            stop = (): void => resolve({ done: true, value: undefined });
            coming.then(resolve, reject);
          });
      if (result.done === true || signal.aborted) return;
      yield result.value;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Not awaited: an iterator that waits for its next record may never answer.
    Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

async function receive<T>(context: ReceiverContext<T>, source: AsyncSource<T>, positionOf: PositionOf<T> | undefined): Promise<void> {
  const { stream } = context;
  const failUnlessStopped = (thrown: unknown): void => {
    if (!context.signal.aborted) context.fail(toError(thrown));
  };
  const held = context.position(PARTITION) ?? 0;
  let next = held;
  for await (const record of recordsUntilStopped(typeof source === 'function' ? source(held) : source, context)) {
    const position = positionOf === undefined ? undefined : checkedPosition(positionOf(record), { held, next, stream });
    // Records that are in the log already come again when an iterable begins before the position.
    if (position !== undefined && position < held) continue;
    const range = position === undefined ? undefined : { partition: PARTITION, from: next, until: position + 1 };
    context.store(record, range).catch(failUnlessStopped);
    next = range?.until ?? next;
  }
}

/** Makes a receiver of an iterable. When the iterable ends, the stream has no more records; when a function made it and it throws, the function is called again. */
export function createIterableReceiver<T>(source: AsyncSource<T>, positionOf: PositionOf<T> | undefined): Receiver<T> {
  return {
    codec: 'json-lines',
    guarantee:
      positionOf === undefined
        ? {
            kind: 'best-effort',
            because: 'fromAsyncIterable has no position: what is in flight at a crash is lost, and an iterable that begins again is taken again',
            remedy: 'give it a position',
          }
        : { kind: 'exactly-once', because: 'each record has a position, and what is in the log already is passed over' },
    async run(context) {
      try {
        await receive(context, source, positionOf);
      } catch (thrown) {
        const error = toError(thrown);
        if (typeof source === 'function' && !(error instanceof StreamError)) throw error;
        context.fail(
          error instanceof StreamError
            ? error
            : new SourceError(
                'STREAM_RECEIVER',
                `Cannot go on with "${context.stream}" as its iterable must not throw, unless a function makes it: ${error.message}`,
                {
                  cause: error,
                },
              ),
        );
      }
      await untilStopped(context.signal);
    },
  };
}
