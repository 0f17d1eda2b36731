// Pure: does the answer to a send say that the records are in the log? The client resolves a send to a partition that does not exist with an empty answer and drops the records, and under the loss of a
// broker it has listed records as written that were lost; hence one partition per send, and exactly this one in the answer.
import type { SendAnswer, TopicPartition } from './client.ts';

/** What is wrong with the answer to a send of one partition; undefined if nothing is. */
export function judgeAnswer(answers: readonly SendAnswer[], { topic, partition }: TopicPartition): string | undefined {
  const [only, ...others] = answers;
  const isIt = only !== undefined && others.length === 0 && only.topicName === topic && only.partition === partition && only.errorCode === 0;
  if (isIt) return undefined;
  const found = answers.map((answer) => `${answer.topicName}-${answer.partition} with error code ${answer.errorCode}`).join(', ');
  return `the answer to a send must name ${topic}-${partition} once, with error code 0: it names ${found === '' ? 'nothing' : found}`;
}
