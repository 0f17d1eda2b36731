/** What a record says. */
export interface Said {
  readonly at: number;
  readonly text: string;
  readonly drop: boolean;
}

export function recordAt(at: number, salt?: string): [string, Said];

export function stateAt(until: number): Map<string, { readonly count: number; readonly sum: number; readonly text: string }>;
