// Spark's HdfsWordCount: the words of the files that are moved into a directory. Each batch becomes a directory of text files, with _SUCCESS when it is whole.
import { milliseconds, StreamingContext } from 'millrace';
import { INTERVALS, inputDirectory, outputDirectory } from './settings.ts';

export default function create(): StreamingContext {
  const context = new StreamingContext({ appName: 'hdfs-word-count', ...INTERVALS });
  const counts = context
    .textFileStream(inputDirectory(), { uid: 'files', newFilesOnly: false, settleTime: milliseconds(1), maxFilesPerBatch: 2 })
    .flatMap((line) => line.split(' '))
    .countByValue({ uid: 'counts' });
  counts.print({ uid: 'shown' });
  counts.saveAsTextFiles(`${outputDirectory()}/counts`, 'txt', { uid: 'kept' });
  return context;
}
