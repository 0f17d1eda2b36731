// One send, with its answer checked.
import { judgeAnswer } from './judge-answer.ts';
import type { Message, TopicPartition, Transaction } from './client.ts';

/** Sends, and rejects unless the answer says that these records are in the log. Whoever gets an error must not commit. */
export async function sendChecked(transaction: Transaction, target: TopicPartition, messages: readonly Message[]): Promise<void> {
  const wrong = judgeAnswer(await transaction.send(target, messages), target);
  if (wrong !== undefined) throw new Error(wrong);
}
