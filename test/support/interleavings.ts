// Runs simulated processes step by step, in every order in which their steps can fall, or in those with few switches between them.

/** Waits until the process may do its next step. */
export type Gate = (step: string) => Promise<void>;

/** One process: calls the gate before each step. */
export type Actor = (gate: Gate) => Promise<void>;

interface Waiting {
  readonly actor: number;
  readonly step: string;
  readonly go: () => void;
}

/** An order that was run: which process did which step. */
export type Trace = readonly string[];

class Stage {
  readonly #waiting = new Map<number, Waiting>();
  readonly #done: Promise<void>[] = [];
  readonly #arrivals: (() => void)[] = [];
  readonly trace: string[] = [];

  constructor(actors: readonly Actor[]) {
    for (const [index, actor] of actors.entries()) {
      const gate: Gate = (step) =>
        new Promise((go) => {
          this.#waiting.set(index, { actor: index, step, go });
          this.#arrivals[index]?.();
        });
      this.#done[index] = actor(gate);
    }
  }

  /** The processes that wait for their next step. */
  get live(): readonly number[] {
    return [...this.#waiting.keys()].sort((left, right) => left - right);
  }

  /** Resolves when a process waits for its next step or has ended. */
  async arrived(actor: number): Promise<void> {
    if (this.#waiting.has(actor)) return;
    await Promise.race([this.#done[actor], new Promise<void>((resolve) => (this.#arrivals[actor] = resolve))]);
  }

  async step(actor: number): Promise<void> {
    const waiting = this.#waiting.get(actor);
    if (waiting === undefined) throw new Error(`process ${actor} has ended`);
    this.#waiting.delete(actor);
    this.trace.push(`${actor} ${waiting.step}`);
    waiting.go();
    await this.arrived(actor);
  }
}

/** Which orders are run. */
export interface Exploration {
  /** Makes the processes, in a world of their own. */
  readonly begin: () => readonly Actor[];
  /** How often the processes may be switched while the one that runs could go on; the ends of processes do not count. */
  readonly switchesMax: number;
  /** Called when all have ended. */
  readonly check: (trace: Trace) => Promise<void>;
}

/** The choice at one step, of so many. */
interface Chosen {
  readonly choice: number;
  readonly count: number;
}

/** The choices of the next run: those of this one up to the last that has an alternative; undefined if none has. */
function nextChoices(chosen: readonly Chosen[]): readonly number[] | undefined {
  const last = chosen.findLastIndex(({ choice, count }) => choice + 1 < count);
  return last < 0 ? undefined : [...chosen.slice(0, last).map(({ choice }) => choice), (chosen[last]?.choice ?? 0) + 1];
}

async function runOnce(stage: Stage, switchesMax: number, choices: readonly number[]): Promise<readonly Chosen[]> {
  const chosen: Chosen[] = [];
  let current = -1;
  let switches = 0;
  for (let { live } = stage; live.length > 0; { live } = stage) {
    const isLive = live.includes(current);
    // The one that ran last comes first, the others as long as there may be a switch.
    const options = isLive ? [current, ...(switches < switchesMax ? live.filter((actor) => actor !== current) : [])] : live;
    const choice = choices[chosen.length] ?? 0;
    const next = options[choice] ?? current;
    chosen.push({ choice, count: options.length });
    if (isLive && next !== current) switches += 1;
    current = next;
    await stage.step(next);
  }
  return chosen;
}

/**
 * Runs every order: depth first, each run from the beginning.
 *
 * @returns How many orders were run.
 */
export async function explore({ begin, switchesMax, check }: Exploration): Promise<number> {
  let choices: readonly number[] | undefined = [];
  for (let runs = 0; ; runs++) {
    if (choices === undefined) return runs;
    const actors = begin();
    const stage = new Stage(actors);
    for (const index of actors.keys()) await stage.arrived(index);
    choices = nextChoices(await runOnce(stage, switchesMax, choices));
    await check(stage.trace);
  }
}
