// Takes the records of a log in order: each must be an event, and events must follow from those before. The first problem is kept.
import { CorruptionError } from '../core/errors.ts';
import { applyEvent, forgetBatches } from '../journal/apply-event.ts';
import type { JournalEvent } from '../journal/events.ts';
import { emptyLedger } from '../journal/ledger.ts';
import type { RecordVisitor } from '../wal/scan.ts';
import { readRecord, type RecordLine } from './describe-record.ts';
import type { LogPlace, SurveyVisitor } from './survey.ts';

/** A record that is whole and holds no event, or one that contradicts those before it. */
export interface EventProblem {
  readonly place: LogPlace;
  readonly error: CorruptionError;
}

/** Checks records; one object for one reading of the log. */
export class EventCheck implements SurveyVisitor {
  readonly #keep: ((line: RecordLine) => void) | undefined;
  readonly #ledger = emptyLedger();
  #records = 0;
  #isFolded = false;
  #problem: EventProblem | undefined;

  /**
   * @param keep - Takes the line of each record.
   */
  constructor(keep?: (line: RecordLine) => void) {
    this.#keep = keep;
  }

  /** How many records there were. */
  get records(): number {
    return this.#records;
  }

  /** Whether the events were folded: only a log that begins with its first record can be. */
  get isFolded(): boolean {
    return this.#isFolded;
  }

  /** The first problem. */
  get problem(): EventProblem | undefined {
    return this.#problem;
  }

  readonly visit: RecordVisitor = (frame, segment) => {
    const { line, event, problem } = readRecord(frame, segment);
    if (this.#records === 0) this.#isFolded = line.lsn === 1;
    this.#records += 1;
    this.#keep?.(line);
    const error = problem ?? (event === undefined || !this.#isFolded || this.#problem !== undefined ? undefined : this.#fold(line, event));
    if (error !== undefined) this.#problem ??= { place: { lsn: line.lsn, segment, offset: line.offset }, error };
  };

  #fold({ lsn, segment, offset, bytes }: RecordLine, event: JournalEvent): CorruptionError | undefined {
    try {
      const slim = event.kind === 'block-added' ? { ...event, payload: [] } : event;
      applyEvent(this.#ledger, { event: slim, position: { lsn, segment, offset, frameBytes: bytes } });
      // As a driver does: what a checkpoint covers is looked at no more.
      if (event.kind === 'checkpoint') forgetBatches(this.#ledger, event.batchTime);
      return undefined;
    } catch (error) {
      if (error instanceof CorruptionError) return error;
      throw error;
    }
  }
}
