// A source for simulations: it numbers its records, sends what is not yet acknowledged when it is asked, and remembers what it was told. It outlives the processes it feeds.
import type { Receiver } from '../sources/receiver.ts';
import type { SimProcess } from './sim-process.ts';

/** Options of {@link ScriptedSource}. */
export interface ScriptedSourceOptions<T> {
  /** The records, in order. */
  readonly records: readonly T[];
  /** How many records are sent at a time; the next go out when these are acknowledged. */
  readonly window: number;
}

/** Records by position, and how far they were acknowledged. */
export class ScriptedSource<T> {
  readonly #options: ScriptedSourceOptions<T>;
  /** Positions below this were acknowledged. */
  acknowledged = 0;

  constructor(options: ScriptedSourceOptions<T>) {
    this.#options = options;
  }

  /** Whether everything was acknowledged. */
  get isDone(): boolean {
    return this.acknowledged >= this.#options.records.length;
  }

  /** Makes the receiver by which a process reads this source. */
  receiver(process: SimProcess): Receiver<T> {
    const { records, window } = this.#options;
    return {
      codec: 'json-lines',
      run: async (context) => {
        await context.settle();
        let next = context.position('script') ?? 0;
        if (next < this.acknowledged) {
          // What was acknowledged is forgotten here, as a real source forgets it: nothing can bring it back.
          context.fail(new Error(`records ${next} to ${this.acknowledged - 1} were acknowledged and are asked for again: they were lost`));
          return;
        }
        // Being asked to go on from here says that all before it is durable.
        if (process.isAlive) this.acknowledged = Math.max(this.acknowledged, next);
        while (next < records.length && !context.signal.aborted) {
          const until = Math.min(next + window, records.length);
          const stored = records
            .slice(next, until)
            .map((record, index) => context.store(record, { partition: 'script', from: next + index, until: next + index + 1 }));
          await Promise.all(stored);
          if (process.isAlive) this.acknowledged = Math.max(this.acknowledged, until);
          next = until;
        }
        await new Promise<void>((resolve) => {
          if (context.signal.aborted) resolve();
          else context.signal.addEventListener('abort', () => resolve(), { once: true });
        });
      },
    };
  }
}
