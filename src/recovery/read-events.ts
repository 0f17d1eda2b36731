// All events of a scanned log, without the bytes of the blocks: what recovery decides on.
import { decodeEvent } from '../journal/event-codec.ts';
import type { LoggedEvent } from '../journal/apply-event.ts';
import { replaySpans, type ScanOptions, type SegmentSpan } from '../wal/scan.ts';

/** Reads the events of the spans in order. */
export async function readEvents(options: ScanOptions, spans: readonly SegmentSpan[]): Promise<readonly LoggedEvent[]> {
  const events: LoggedEvent[] = [];
  await replaySpans(options, spans, {
    fromLsn: 0,
    visit: (frame, segment) => {
      const event = decodeEvent(frame.type, frame.payload, frame.lsn);
      const position = { lsn: frame.lsn, segment, offset: frame.offset, frameBytes: frame.frameBytes };
      events.push({ event: event.kind === 'block-added' ? { ...event, payload: [] } : event, position });
    },
  });
  return events;
}
