// Reads the marker topic to its end, from where it was read last, and gives the view of an output.
import type { LedgerRow, SinkFence, SinkIdentity, SinkView } from '../sink.ts';
import type { LogReader } from './client.ts';
import { MarkerFold } from './marker-fold.ts';
import { decodeFence, decodeRow, markerKey, type Place } from './marker.ts';

const FETCH_BYTES = 1 << 20;
/** A fetch that holds only batches which compaction has emptied shows nothing, however often it is repeated. */
const FETCH_BYTES_MAX = 1 << 26;

/** The marker topic as far as it was read, for one output. */
export class MarkerLog {
  readonly #reader: LogReader;
  readonly #owner: Pick<SinkIdentity, 'app' | 'sink'>;
  readonly #fold: MarkerFold;
  #next: number | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(reader: LogReader, owner: Pick<SinkIdentity, 'app' | 'sink'>) {
    this.#reader = reader;
    this.#owner = owner;
    this.#fold = new MarkerFold(owner);
  }

  /**
   * Reads at least up to where the log ends, as the broker knows it when this is called.
   *
   * @param until - An offset that must be reached: a broker that has just become the leader may not know the end yet.
   */
  catchUp(until = 0): Promise<void> {
    const turn = this.#last.then(() => this.#catchUp(until));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** What the output holds; `isOwned` as in {@link MarkerFold}. */
  view(isOwned: (place: Place) => boolean): SinkView {
    const rows = new Map<number, LedgerRow>();
    let fence: SinkFence | undefined;
    for (const [place, value] of this.#fold.markers(isOwned)) {
      const key = markerKey(this.#owner, place);
      if (place === 'fence') fence = decodeFence(key, value);
      else rows.set(place, decodeRow(key, value));
    }
    return fence === undefined ? { rows } : { fence, rows };
  }

  close(): Promise<void> {
    return this.#reader.close();
  }

  async #catchUp(until: number): Promise<void> {
    let next = this.#next ?? (await this.#reader.begin());
    for (let bytesMax = FETCH_BYTES; ;) {
      const piece = await this.#reader.fetch(next, bytesMax);
      for (const record of piece.records) if (record.offset >= next) this.#fold.add(record);
      const isStuck = piece.next <= next;
      this.#next = next = Math.max(next, piece.next);
      if (next >= Math.max(piece.end, until)) return;
      if (isStuck && bytesMax >= FETCH_BYTES_MAX)
        throw new Error(`the marker topic must be readable from offset ${next} to ${Math.max(piece.end, until)}: a fetch of ${bytesMax} bytes showed nothing`);
      bytesMax = isStuck ? bytesMax * 4 : FETCH_BYTES;
    }
  }
}
