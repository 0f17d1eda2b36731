// The sources of a program that are asked at each batch, with the journal behind them.
import type { Uid } from '../core/ids.ts';
import { blockIdOf } from '../core/ids.ts';
import type { Env } from '../env/env.ts';
import type { Journal } from '../journal/journal.ts';
import type { SourceOffer } from '../journal/plan-batch.ts';
import type { PolledContext, PolledSource } from './polled-source.ts';

/** What polled sources work with. */
export interface PolledSourcesOptions {
  readonly env: Env;
  readonly journal: Journal;
  readonly epoch: number;
  readonly batchBytesMax: number;
  /** Numbers the blocks of all sources of this start. */
  readonly nextBlock: () => number;
  readonly sources: readonly { readonly uid: Uid; readonly source: PolledSource }[];
}

/** Asks all polled sources of a program. */
export class PolledSources {
  readonly #options: PolledSourcesOptions;

  constructor(options: PolledSourcesOptions) {
    this.#options = options;
  }

  /** Settles where each source begins. */
  async begin(): Promise<void> {
    for (const { uid, source } of this.#options.sources) await source.begin(this.#contextOf(uid));
  }

  /** What each source offers to the next batch. What it gives as blocks is durable when this resolves. */
  async poll(): Promise<ReadonlyMap<Uid, SourceOffer>> {
    const offers = new Map<Uid, SourceOffer>();
    for (const { uid, source } of this.#options.sources) offers.set(uid, await source.poll(this.#contextOf(uid)));
    return offers;
  }

  #contextOf(stream: Uid): PolledContext {
    const { env, journal, epoch, batchBytesMax, nextBlock } = this.#options;
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
      async addBlock({ pieces, recordCount }) {
        await journal.append({ kind: 'block-added', stream, blockId: blockIdOf(epoch, nextBlock()), recordCount, codec: 'json-lines', payload: pieces });
      },
    };
  }
}
