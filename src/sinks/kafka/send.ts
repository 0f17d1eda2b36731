// One send, with its answer checked.
import { judgeAnswer } from './judge-answer.ts';
import type { Message, TopicPartition, Transaction } from './client.ts';

/** Sends, and rejects unless the answer says that these records are in the log. Whoever gets an error must not commit. Gives the offset of the first record. */
export async function sendChecked(transaction: Transaction, target: TopicPartition, messages: readonly Message[]): Promise<number> {
  const answers = await transaction.send(target, messages);
  const wrong = judgeAnswer(answers, target);
  if (wrong !== undefined) throw new Error(wrong);
  return Number(answers[0]?.baseOffset);
}
