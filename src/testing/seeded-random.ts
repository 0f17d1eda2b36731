// Repeatable randomness for simulations: sfc32 by Chris Doty-Humphrey (PractRand, public domain).
import type { Random } from '../env/env.ts';

/** A random source that gives the same numbers for the same seed. */
export class SeededRandom implements Random {
  #a: number;
  #b = 0x9e3779b9;
  #c = 0x243f6a88;
  #counter = 1;

  /**
   * @param seed - Any whole number; its low 32 bits count.
   */
  constructor(seed: number) {
    this.#a = seed >>> 0;
    for (let round = 0; round < 12; round++) this.#next32();
  }

  #next32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A number from 0 up to, not including, 1. */
  next(): number {
    return this.#next32() / 0x1_0000_0000;
  }

  /** A whole number from 0 up to, not including, `count`. */
  integer(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.next() < p;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let index = 0; index < count; index++) bytes[index] = this.#next32() & 0xff;
    return bytes;
  }
}
