// The course's TransformBlacklist: a line is `number name`; each batch is joined with a list of names, and what is on the list goes.
import { fileSink, StreamingContext } from 'millrace';
import { INTERVALS, outputDirectory, port } from './settings.ts';

/** Who must not pass. */
export const BLACKLIST = ['be', 'not'];

export default function create(): StreamingContext {
  const context = new StreamingContext({ appName: 'transform-blacklist', ...INTERVALS });
  const blacklist = context.rddContext.parallelize(BLACKLIST).map((name) => [name, true]);
  const passed = context
    .socketTextStream('127.0.0.1', port(), { acknowledged: true, uid: 'lines' })
    .map((line) => [line.split(' ')[1] ?? '', line])
    .transform(
      (lines) =>
        lines
          .leftOuterJoin(blacklist)
          .filter(([, [, isListed]]) => isListed === null)
          .map(([, [line]]) => line),
      { uid: 'passed' },
    );
  passed.print({ uid: 'shown' });
  passed.saveTo(fileSink({ directory: outputDirectory(), format: 'text' }), { uid: 'kept' });
  return context;
}
