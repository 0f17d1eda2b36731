// A copy of a record that is handed to user code, so that what the code does to it does not show in a second attempt or in another output.
import { decodeValue, encodeValue } from './value-codec.ts';

/** The value itself if nothing can change it, else a copy made by the default codec. */
export function detach<T>(value: T): T {
  return typeof value === 'object' && value !== null ? (decodeValue(encodeValue(value)) as T) : value;
}
