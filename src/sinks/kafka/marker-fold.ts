// Pure: what the marker topic says of one output, folded from its log as it stands. kafkajs' own filter for committed records lets aborted ones through when transactions overlap, so committed and aborted are told
// apart here, by the control records of each producer: the first one behind a record decides it.
import type { SinkIdentity } from '../sink.ts';
import type { LogRecord } from './client.ts';
import { placeOf, type Place } from './marker.ts';

interface Marker {
  readonly place: Place;
  readonly value: string;
  readonly offset: number;
}

const decoder = new TextDecoder();
const TYPE_AT = 2;
const COMMIT = 1;

/** Whether a control record ends its transaction with a commit: behind a version of two bytes is the type. */
function isCommit({ key }: LogRecord): boolean {
  return key !== null && key.byteLength >= TYPE_AT + 2 && new DataView(key.buffer, key.byteOffset, key.byteLength).getInt16(TYPE_AT) === COMMIT;
}

/** The markers of an output, as far as the log was read. */
export class MarkerFold {
  readonly #owner: Pick<SinkIdentity, 'app' | 'sink'>;
  readonly #committed = new Map<Place, Marker>();
  /** Markers behind which no control record was seen, by their producer. */
  readonly #open = new Map<string, Marker[]>();

  constructor(owner: Pick<SinkIdentity, 'app' | 'sink'>) {
    this.#owner = owner;
  }

  /** Takes the next record of the log. */
  add(record: LogRecord): void {
    const { producerId, offset, key, value } = record;
    if (record.isControl) {
      if (isCommit(record)) for (const marker of this.#open.get(producerId) ?? []) this.#keep(marker);
      this.#open.delete(producerId);
      return;
    }
    const place = key === null ? undefined : placeOf(decoder.decode(key), this.#owner);
    if (place === undefined || value === null) return;
    const marker: Marker = { place, value: decoder.decode(value), offset };
    if (!record.isTransactional) return this.#keep(marker);
    this.#open.set(producerId, [...(this.#open.get(producerId) ?? []), marker]);
  }

  /**
   * The last committed marker of each place.
   *
   * @param isOwned - Whether nobody has a transaction open that could write the place: then a record behind which no control record is left was committed, and compaction took the control record.
   */
  markers(isOwned: (place: Place) => boolean): ReadonlyMap<Place, string> {
    const last = new Map(this.#committed);
    for (const marker of [...this.#open.values()].flat()) {
      if (isOwned(marker.place) && marker.offset > (last.get(marker.place)?.offset ?? -1)) last.set(marker.place, marker);
    }
    return new Map([...last].map(([place, { value }]) => [place, value]));
  }

  #keep(marker: Marker): void {
    if (marker.offset > (this.#committed.get(marker.place)?.offset ?? -1)) this.#committed.set(marker.place, marker);
  }
}
