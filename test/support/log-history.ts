// What the writers of one log said over all their lives, and whether what is read from the log agrees with it. Imports nothing from the log.

/** What a writer said last about a record. */
type Fate = 'in flight' | 'acknowledged' | 'refused';

/** A refusal that a writer reported; number 0 is the opening of the log. */
export interface Refusal {
  readonly number: number;
  readonly code: string;
}

const LINE = /^(try|ok|refused) (\d+)(?: (\S+))?$/;
const DISK_FULL = 'STREAM_DISK_FULL';

/** The number a text is made of, or undefined if it is not a whole record of a writer. */
export function numberOf(text: string): number | undefined {
  const number = /^([1-9]\d*) /.exec(text)?.[1];
  if (number === undefined) return undefined;
  const isWhole = text === `${number} `.repeat(Math.ceil(text.length / (number.length + 1))).slice(0, text.length);
  return isWhole ? Number(number) : undefined;
}

/** The lines of all writers of one log. */
export class LogHistory {
  readonly refusals: Refusal[] = [];
  readonly #fates = new Map<number, Fate>();
  readonly #recovered = new Set<number>();
  readonly #unanswered = new Set<number>();
  readonly #wrong: string[] = [];
  #failure: string | undefined;
  readonly #everRefused = new Set<number>();
  #lastTried = 0;

  /** How many records were acknowledged. */
  get acknowledged(): number {
    return [...this.#fates.values()].filter((fate) => fate === 'acknowledged').length;
  }

  /** How many records the writer that runs, or ran last, has tried without an answer. */
  get unanswered(): number {
    return this.#unanswered.size;
  }

  /** The highest number that was ever tried. */
  get lastTried(): number {
    return this.#lastTried;
  }

  /** Another writer starts. */
  beginLife(): void {
    this.#failure = undefined;
    this.#unanswered.clear();
  }

  /** Takes a line of the writer that runs. */
  take(line: string): void {
    const [, verb, digits, code = ''] = LINE.exec(line) ?? [];
    const number = Number(digits);
    if (verb === 'try') this.#try(number);
    else this.#unanswered.delete(number);
    if (verb === 'ok') this.#acknowledge(number);
    if (verb === 'refused') this.#refuse({ number, code });
  }

  #try(number: number): void {
    this.#unanswered.add(number);
    this.#lastTried = Math.max(this.#lastTried, number);
    if (this.#fates.get(number) !== 'acknowledged') this.#fates.set(number, 'in flight');
  }

  #acknowledge(number: number): void {
    if (this.#failure !== undefined) this.#wrong.push(`record ${number} was acknowledged after ${this.#failure}`);
    if (!this.#fates.has(number)) this.#wrong.push(`record ${number} was acknowledged before it was tried`);
    this.#fates.set(number, 'acknowledged');
  }

  #refuse(refusal: Refusal): void {
    this.refusals.push(refusal);
    if (refusal.code !== DISK_FULL) this.#failure = `"${refusal.code}" of record ${refusal.number}`;
    else if (refusal.number > 0) {
      this.#fates.set(refusal.number, 'refused');
      this.#everRefused.add(refusal.number);
    }
  }

  /**
   * What is wrong with the texts that were read from the log, as sentences. What was read once must be read for ever: later lives built on it. A record that was refused for a full
   * disk may stand behind later ones, or be missing if its writer died; all others stand in the order of their numbers, without gaps.
   *
   * @param texts - All records in the order of the log.
   * @param bytes - The length of each.
   */
  check(texts: readonly string[], bytes: number): readonly string[] {
    const wrong = [...this.#wrong];
    const found = new Set<number>();
    let before = 0;
    texts.forEach((text, index) => {
      const number = text.length === bytes ? numberOf(text) : undefined;
      if (number === undefined) {
        wrong.push(`the record at place ${index + 1} holds other bytes: ${text.slice(0, 40)}`);
        return;
      }
      if (found.has(number)) wrong.push(`record ${number} is there twice`);
      else if (number < before && !this.#everRefused.has(number)) wrong.push(`record ${number} stands behind record ${before}`);
      found.add(number);
      before = Math.max(before, number);
    });
    for (let number = 1; number < before; number++) {
      if (!found.has(number) && !this.#everRefused.has(number)) wrong.push(`record ${number} is not there and a later one is`);
    }
    for (const number of found) {
      const fate = this.#fates.get(number);
      if (fate === undefined) wrong.push(`record ${number} was never tried`);
      if (fate === 'refused') wrong.push(`record ${number} was refused and is there`);
    }
    for (const [number, fate] of this.#fates) {
      if (fate === 'acknowledged' && !found.has(number)) wrong.push(`record ${number} was acknowledged and is not there`);
    }
    for (const number of this.#recovered) if (!found.has(number)) wrong.push(`record ${number} was recovered once and is not there`);
    for (const number of found) this.#recovered.add(number);
    return wrong;
  }
}
