// Recounts the text and compares every word with the table. Shares no code with the engine: its own tokeniser, and LevelDB read directly.
// Use: node check.mjs TEXT TABLE; prints one line of JSON; exit code 1 if a word was lost or doubled.
import { readFileSync } from 'node:fs';
import { Level } from 'level';

const [textPath, tablePath] = process.argv.slice(2);

/** Counts words by walking over the characters: a word is a run of a-z, 0-9 and ', letters in lower case. */
function recount(text) {
  const truth = new Map();
  let word = '';
  for (const line of text.split('\n')) {
    for (const character of `${line.toLowerCase()} `) {
      const isPart = (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9') || character === "'";
      if (isPart) word += character;
      else if (word !== '') {
        truth.set(word, (truth.get(word) ?? 0) + 1);
        word = '';
      }
    }
  }
  return truth;
}

const truth = recount(readFileSync(textPath, 'utf8'));
const db = new Level(tablePath, { createIfMissing: false });
const counted = new Map();
for await (const [key, value] of db.sublevel('data').iterator()) counted.set(JSON.parse(key), JSON.parse(value));
await db.close();

let lost = 0;
let doubled = 0;
const examples = [];
for (const word of new Set([...truth.keys(), ...counted.keys()])) {
  const difference = (counted.get(word) ?? 0) - (truth.get(word) ?? 0);
  if (difference < 0) lost -= difference;
  if (difference > 0) doubled += difference;
  if (difference !== 0 && examples.length < 5) examples.push({ word, truth: truth.get(word) ?? 0, counted: counted.get(word) ?? 0 });
}
let total = 0;
for (const count of truth.values()) total += count;
process.stdout.write(`${JSON.stringify({ words: total, distinct: truth.size, lost, doubled, examples })}\n`);
process.exitCode = lost === 0 && doubled === 0 && total > 0 ? 0 : 1;
