// The sources of a program that are asked at each batch, with the journal behind them.
import type { Uid } from '../core/ids.ts';
import type { Env } from '../env/env.ts';
import type { Journal } from '../journal/journal.ts';
import type { SourceOffer } from '../journal/plan-batch.ts';
import type { PolledContext, PolledSource } from './polled-source.ts';

/** What polled sources work with. */
export interface PolledSourcesOptions {
  readonly env: Env;
  readonly journal: Journal;
  readonly batchBytesMax: number;
  readonly sources: readonly { readonly uid: Uid; readonly source: PolledSource; readonly isLogged: boolean }[];
}

/** Asks all polled sources of a program. */
export class PolledSources {
  readonly #options: PolledSourcesOptions;

  constructor(options: PolledSourcesOptions) {
    this.#options = options;
  }

  /** Settles where each source begins. */
  async begin(): Promise<void> {
    for (const each of this.#options.sources) await each.source.begin(this.#contextOf(each));
  }

  /** What each source offers to the next batch: nothing while the disk has no room. What it gives as blocks is durable when this resolves. */
  async poll(): Promise<ReadonlyMap<Uid, SourceOffer>> {
    const { journal, sources } = this.#options;
    const offers = new Map<Uid, SourceOffer>();
    if (!journal.isDiskFull) for (const each of sources) offers.set(each.uid, await each.source.poll(this.#contextOf(each)));
    return offers;
  }

  #contextOf({ uid: stream, isLogged }: { readonly uid: Uid; readonly isLogged: boolean }): PolledContext {
    const { env, journal, batchBytesMax } = this.#options;
    return {
      env,
      stream,
      batchBytesMax,
      get taken() {
        return journal.ledger.files.get(stream);
      },
      async position(part) {
        await journal.append({ kind: 'source-positioned', stream, ...part });
      },
      async addBlock({ pieces, bytes, recordCount }) {
        // An item that was begun goes on: its batch waits for it, and the batches make the room.
        await journal.appendBlock({ stream, recordCount, codec: 'json-lines', payload: pieces, ...(isLogged ? {} : { unloggedBytes: bytes }) }, 'decision');
      },
    };
  }
}
