// The records of damage-program.mjs, and what they come to by a few lines that share nothing with the engine.
import { createHash } from 'node:crypto';

const KEYS = 61;

/** The record at a position: most count for a key; some begin a key, and a later one drops it. Another salt makes other records. */
export function recordAt(at, salt = '') {
  const text = createHash('sha256').update(`${at}${salt}`).digest('base64');
  if (at % 10 === 8) return [`brief-${Math.floor(at / 10)}`, { at, text, drop: false }];
  if (at % 10 === 9) return [`brief-${Math.floor(at / 10) - 1}`, { at, text, drop: true }];
  return [`key-${at % KEYS}`, { at, text, drop: false }];
}

/** The state after the records before a position. */
export function stateAt(until) {
  const state = new Map();
  for (let at = 0; at < until; at++) {
    const [key, { text, drop }] = recordAt(at);
    if (drop) state.delete(key);
    else {
      const { count, sum } = state.get(key) ?? { count: 0, sum: 0 };
      state.set(key, { count: count + 1, sum: sum + at, text });
    }
  }
  return state;
}
