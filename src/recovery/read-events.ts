// All events of a log, without the bytes of the blocks: what recovery decides on. They are collected while the log is scanned, so that it is read once.
import { decodeEvent } from '../journal/event-codec.ts';
import type { LoggedEvent } from '../journal/apply-event.ts';
import type { LogPosition } from '../wal/read-at.ts';
import { scanWal, type ScanOptions, type WalScan } from '../wal/scan.ts';

/** A log as it was scanned, and what it says. */
export interface EventScan {
  readonly scan: WalScan;
  readonly events: readonly LoggedEvent[];
}

/** Scans a log and decodes its events in order. */
export async function scanEvents(options: ScanOptions): Promise<EventScan> {
  const events: LoggedEvent[] = [];
  const scan = await scanWal(options, (frame, segment) => {
    const event = decodeEvent(frame.type, frame.payload, frame.lsn);
    const position = { lsn: frame.lsn, segment, offset: frame.offset, frameBytes: frame.frameBytes };
    events.push({ event: event.kind === 'block-added' ? { ...event, payload: [] } : event, position });
  });
  return { scan, events };
}

/** The events with the positions of those that were written afresh. */
export function relocate(events: readonly LoggedEvent[], moved: ReadonlyMap<number, LogPosition>): readonly LoggedEvent[] {
  return events.map(({ event, position }) => ({ event, position: moved.get(position.lsn) ?? position }));
}
