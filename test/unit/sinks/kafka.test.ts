// Goal: what the Kafka sink decides and says, without a broker. Method: tables over its pure functions; the sink as a whole is in kafka-sink.test.ts, and on a real broker in test/chaos/process/kafka.
import { Partitioners } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { toBatchTime } from '../../../src/core/time.ts';
import { kafkaSink, type KafkaSinkOptions } from '../../../src/sinks/kafka-sink.ts';
import type { LogRecord, SendAnswer } from '../../../src/sinks/kafka/client.ts';
import { resolveConnection, tlsOf, type KafkaConnection } from '../../../src/sinks/kafka/connection.ts';
import { clientConfig } from '../../../src/sinks/kafka/driver.ts';
import { encodeRows, type RowEncoder } from '../../../src/sinks/kafka/encode-rows.ts';
import { judgeAnswer } from '../../../src/sinks/kafka/judge-answer.ts';
import { brokerCode, judgeTrouble } from '../../../src/sinks/kafka/judge-trouble.ts';
import { MarkerFold } from '../../../src/sinks/kafka/marker-fold.ts';
import { decodeFence, decodeRow, encodeMarker, markerKey, placeOf, transactionalIdOf } from '../../../src/sinks/kafka/marker.ts';
import { murmur2 } from '../../../src/sinks/kafka/murmur2.ts';
import { CHUNK_BYTES_MAX, CHUNK_ROWS_MAX, cutIntoChunks, missingPartition, type EncodedRow } from '../../../src/sinks/kafka/place-rows.ts';

describe('judgeAnswer()', () => {
  const target = { topic: 't', partition: 1 };
  const good: SendAnswer = { topicName: 't', partition: 1, errorCode: 0, baseOffset: '7' };
  it.each<[string, readonly SendAnswer[], string | undefined]>([
    ['one entry for the partition', [good], undefined],
    ['no entry, as for a partition that does not exist', [], 'it names nothing'],
    ['an error code', [{ ...good, errorCode: 10 }], 'it names t-1 with error code 10'],
    ['another partition', [{ ...good, partition: 0 }], 'it names t-0 with error code 0'],
    ['another topic', [{ ...good, topicName: 'u' }], 'it names u-1 with error code 0'],
    ['the entry twice', [good, good], 'it names t-1 with error code 0, t-1 with error code 0'],
  ])('%s', (_name, answers, wrong) =>
    expect(judgeAnswer(answers, target)).toBe(wrong === undefined ? undefined : `the answer to a send must name t-1 once, with error code 0: ${wrong}`),
  );
});

describe('judgeTrouble()', () => {
  const broker = (code: number): Error => Object.assign(new Error('of the broker'), { code, retriable: false });
  const caused = (cause: unknown): Error => Object.assign(new Error('retries exceeded', { cause }), { retriable: true });
  it.each<[string, Error, 'again' | 'refused']>([
    ['an unknown server error', broker(-1), 'again'],
    ['a producer that was fenced or timed out', broker(47), 'again'],
    ['a transaction in the wrong state', broker(48), 'again'],
    ['an id whose mapping expired', broker(49), 'again'],
    ['a sequence out of order', broker(45), 'again'],
    ['a producer that is not known', broker(59), 'again'],
    ['a transaction that is ending', broker(51), 'again'],
    ['a topic that is not there', broker(3), 'again'],
    ['too few replicas', broker(19), 'again'],
    ['a record that is too large', broker(10), 'refused'],
    ['a record that is too large, behind the retries', caused(broker(10)), 'refused'],
    ['a topic that is denied', broker(29), 'refused'],
    ['an id that is denied', broker(53), 'refused'],
    ['a transaction timeout above the cap', broker(50), 'refused'],
    ['an invalid record', broker(87), 'refused'],
    ['a lost connection', Object.assign(new Error('Closed connection'), { retriable: true }), 'again'],
    ['a refused connection', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), 'again'],
    ['a dead producer, though it is called retriable', caused(new Error('closed')), 'again'],
    ['a wrong password', caused(Object.assign(new Error('SASL'), { name: 'KafkaJSSASLAuthenticationError' })), 'refused'],
    ['a certificate of nobody', caused(Object.assign(new Error('c'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })), 'refused'],
    ['a certificate of another name', Object.assign(new Error('c'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }), 'refused'],
  ])('%s: %s', (_name, error, verdict) => expect(judgeTrouble(error)).toBe(verdict));
  it('brokerCode() ends on causes that go round', () => {
    const error = new Error('round') as Error & { cause: unknown };
    error.cause = error;
    expect(brokerCode(error)).toBeUndefined();
  });
});

describe('rows in their partitions', () => {
  const row = (key: string | null, more: Partial<EncodedRow> = {}): EncodedRow => ({
    key: key === null ? null : Buffer.from(key),
    value: 'v',
    bytes: 100,
    ...more,
  });
  const cut = (rows: readonly EncodedRow[], count = 3): readonly (readonly [number, number])[] =>
    cutIntoChunks(rows, { count, partitionId: 4 }).map(({ partition, messages }) => [partition, messages.length]);

  it('murmur2() gives the partitions of Kafka\u2019s own clients', () => {
    const theirs = Partitioners.DefaultPartitioner();
    const partitionMetadata = Array.from({ length: 7 }, (_unused, partitionId) => ({ partitionId, leader: 0, partitionErrorCode: 0, replicas: [], isr: [] }));
    for (let length = 0; length < 40; length++) {
      const key = Buffer.from(Array.from({ length }, (_unused, index) => (index * 91 + length * 37) % 256));
      const expected = theirs({ topic: 't', partitionMetadata, message: { key, value: null } });
      expect((murmur2(key) & 0x7fffffff) % 7).toBe(expected);
    }
  });
  it('put a key always into one partition, and rows without a key by their partition in the batch', () => {
    expect(cut([row('a'), row('a')])).toEqual([[(murmur2(Buffer.from('a')) & 0x7fffffff) % 3, 2]]);
    expect(cut([row(null), row(null)])).toEqual([[1, 2]]);
    expect(cut([row(null), row('a')], 1)).toEqual([[0, 2]]);
  });
  it('obey an explicit partition', () =>
    expect(cut([row('a', { partition: 2 }), row(null, { partition: 0 }), row('b', { partition: 2 })])).toEqual([
      [2, 2],
      [0, 1],
    ]));
  it.each([
    ['as many rows as a send takes', CHUNK_ROWS_MAX, 100, [CHUNK_ROWS_MAX]],
    ['one more', CHUNK_ROWS_MAX + 1, 100, [CHUNK_ROWS_MAX, 1]],
    ['as many bytes as a send takes', 9, CHUNK_BYTES_MAX / 9, [9]],
    ['one row more than that', 10, CHUNK_BYTES_MAX / 9, [9, 1]],
    ['rows larger than a send', 2, CHUNK_BYTES_MAX + 1, [1, 1]],
    ['none', 0, 1, []],
  ])('are cut: %s', (_name, count, bytes, lengths) =>
    expect(cut(Array.from({ length: count }, () => row(null, { bytes }))).map(([, length]) => length)).toEqual(lengths),
  );
  it('keep their order', () => {
    const rows = Array.from({ length: 5000 }, (_unused, index) => row(String(index % 10), { value: String(index) }));
    const seen = new Map<number, number>();
    for (const { partition, messages } of cutIntoChunks(rows, { count: 3, partitionId: 0 })) {
      for (const { value } of messages) {
        expect(Number(value)).toBeGreaterThan(seen.get(partition) ?? -1);
        seen.set(partition, Number(value));
      }
    }
  });
  it('missingPartition() finds what the topic does not have', () => {
    expect(missingPartition([row('a'), row('a', { partition: 2 })], { count: 3, partitionId: 9 })).toBeUndefined();
    expect(missingPartition([row('a', { partition: 3 })], { count: 3, partitionId: 0 })).toBe(3);
  });
});

describe('encodeRows()', () => {
  const one = (record: unknown, encoder: RowEncoder<unknown> = {}): EncodedRow | undefined => encodeRows([record], encoder).rows[0];
  const fingerprint = (records: readonly unknown[], encoder: RowEncoder<unknown> = {}): string => encodeRows(records, encoder).fingerprint;
  it('writes the record as JSON, without a key', () => expect(one({ b: 1, a: [2] })).toMatchObject({ key: null, value: '{"a":[2],"b":1}' }));
  it('asks the functions', () =>
    expect(
      one(7, { key: (n) => `k${String(n)}`, value: () => Uint8Array.of(1), headers: () => ({ h: 'x', b: Uint8Array.of(2) }), partition: () => 3 }),
    ).toMatchObject({ key: Buffer.from('k7'), value: Buffer.from([1]), headers: { h: 'x', b: Buffer.from([2]) }, partition: 3 }));
  it('gives bytes as Buffers, since kafkajs writes other arrays as text', () => {
    const row = one(7, { key: () => Uint8Array.of(1), value: () => Uint8Array.of(1), headers: () => ({ b: Uint8Array.of(2) }) });
    expect(
      [row?.key, row?.value, row?.headers?.['b'], encodeMarker({ app: 'a', sink: 's' }, 0, { epoch: 1, incarnation: 'i', storeId: 's' }).key].every((bytes) =>
        Buffer.isBuffer(bytes),
      ),
    ).toBe(true);
  });
  it('takes null for key and value', () => expect(one(7, { key: () => null, value: () => null })).toMatchObject({ key: null, value: null }));
  it('copies bytes, so that nobody changes them between two attempts', () => {
    const bytes = Uint8Array.of(1);
    const { rows } = encodeRows([1], { value: () => bytes });
    bytes[0] = 2;
    expect(rows[0]?.value).toEqual(Buffer.from([1]));
  });
  it('counts bytes of text as UTF-8', () => expect((one('a', { value: () => 'é' })?.bytes ?? 0) - (one('a', { value: () => 'e' })?.bytes ?? 0)).toBe(1));
  it('has a fingerprint of all that is written, and its order', () => {
    const all = [
      fingerprint([1, 2]),
      fingerprint([2, 1]),
      fingerprint([1]),
      fingerprint([1], { key: () => '1' }),
      fingerprint([1], { key: () => '' }),
      fingerprint([1], { value: () => null }),
      fingerprint([1], { value: () => '' }),
      fingerprint([1], { headers: () => ({ a: 'b' }) }),
      fingerprint([1], { headers: () => ({ b: 'a' }) }),
      fingerprint([1], { partition: () => 0 }),
      fingerprint([1], { partition: () => 1 }),
      fingerprint([1], { key: () => 'ab', value: () => 'c' }),
      fingerprint([1], { key: () => 'a', value: () => 'bc' }),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(all.every((each) => /^[0-9a-f]{32}$/.test(each))).toBe(true);
    expect(fingerprint([1, 2])).toBe(all[0]);
  });
  it('has a fingerprint over more than is hashed at once', () => {
    const many = Array.from({ length: 20_000 }, (_unused, index) => index);
    expect(fingerprint(many)).not.toBe(fingerprint([...many.slice(0, -1), 0]));
    expect(fingerprint(many)).not.toBe(fingerprint([1, ...many.slice(1)]));
  });
  it.each<[string, RowEncoder<unknown>, string]>([
    ['a number as key', { key: () => 1 as never }, 'its key must be a string, a Uint8Array or null: it is number'],
    ['no value', { value: () => undefined as never }, 'its value must be a string, a Uint8Array or null: it is undefined'],
    ['an object as value', { value: () => ({}) as never }, 'it is an object'],
    ['null as header', { headers: () => ({ h: null as never }) }, 'its header "h" must be a string or a Uint8Array: it is null'],
    ['half a partition', { partition: () => 0.5 }, 'its partition must be a whole number from 0: it is 0.5'],
    ['a partition below 0', { partition: () => -1 }, 'it is -1'],
  ])('refuses %s', (_name, encoder, message) => expect(() => encodeRows([1], encoder)).toThrow(message));
  it('names the row', () => expect(() => encodeRows([1, () => 1], {})).toThrow('Cannot prepare row 1 of a partition for Kafka: '));
});

describe('markers', () => {
  const owner = { app: 'a', sink: 's' };
  const row = { batchTime: toBatchTime(100), planId: 'p', epoch: 2, fingerprint: 'f', rows: 3 };
  const fence = { epoch: 2, incarnation: 'i', storeId: 'st' };
  it('come back as they were', () => {
    expect(decodeRow('k', encodeMarker(owner, 7, row).value)).toEqual(row);
    expect(decodeFence('k', encodeMarker(owner, 'fence', fence).value)).toEqual(fence);
    expect(placeOf(encodeMarker(owner, 7, row).key.toString(), owner)).toBe(7);
    expect(placeOf(markerKey(owner, 'fence'), owner)).toBe('fence');
  });
  it.each([
    [markerKey({ app: 'a', sink: 't' }, 7)],
    [markerKey({ app: 'a', sink: 's",7' }, 7)],
    [markerKey({ app: 'a","s', sink: '' }, 7)],
    ['["a","s",x]'],
    ['else'],
  ])('%s is of nobody here', (key) => expect(placeOf(key, owner)).toBeUndefined());
  it('have a transactional id of their own', () => {
    const ids = [
      transactionalIdOf({ app: 'a', sink: 'b/1' }, 2),
      transactionalIdOf({ app: 'a/b', sink: '1' }, 2),
      transactionalIdOf({ app: 'a', sink: 'b' }, 12),
      transactionalIdOf({ app: 'a', sink: 'b/fence' }, 1),
      transactionalIdOf({ app: 'a', sink: 'b' }, 'fence'),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id) => id.startsWith('millrace/'))).toBe(true);
  });
  it.each([
    ['no JSON', '{', 'it is no JSON'],
    ['null', 'null', 'it is no object'],
    ['another version', '{"version":2}', 'its version is 2'],
    ['a missing field', '{"version":1,"batchTime":100}', 'its planId is no string'],
  ])('are refused: %s', (_name, value, message) =>
    expect(() => decodeRow('["a","s",0]', value)).toThrow(`Cannot read the marker ["a","s",0] as it must be one of version 1 that this sink wrote: ${message}`),
  );
  it('are refused: a fence without a store', () =>
    expect(() => decodeFence('k', '{"version":1,"epoch":1,"incarnation":"i"}')).toThrow('its storeId is no string'));
});

describe('MarkerFold', () => {
  const owner = { app: 'a', sink: 's' };
  type Step = readonly [kind: 'put' | 'plain' | 'commit' | 'abort', producer: number, place?: number, value?: string];
  const fold = (...steps: readonly Step[]): MarkerFold => {
    const folded = new MarkerFold(owner);
    for (const [offset, [kind, producer, place = 0, value = '']] of steps.entries()) {
      const isControl = kind === 'commit' || kind === 'abort';
      const key = isControl ? Buffer.from([0, 0, 0, kind === 'commit' ? 1 : 0]) : Buffer.from(markerKey(owner, place));
      const record: LogRecord = { offset, producerId: String(producer), isControl, isTransactional: kind !== 'plain', key, value: Buffer.from(value) };
      folded.add(record);
    }
    return folded;
  };
  it.each<[string, readonly Step[], string | undefined, string | undefined]>([
    ['nothing', [], undefined, undefined],
    [
      'one that is committed',
      [
        ['put', 1, 0, 'x'],
        ['commit', 1],
      ],
      'x',
      'x',
    ],
    [
      'one that is aborted',
      [
        ['put', 1, 0, 'x'],
        ['abort', 1],
      ],
      undefined,
      undefined,
    ],
    ['one that is open, or whose control record compaction took', [['put', 1, 0, 'x']], undefined, 'x'],
    [
      'one that is aborted behind one that is committed',
      [
        ['put', 1, 0, 'x'],
        ['commit', 1],
        ['put', 1, 0, 'y'],
        ['abort', 1],
      ],
      'x',
      'x',
    ],
    [
      'one that is open behind one that is committed',
      [
        ['put', 1, 0, 'x'],
        ['commit', 1],
        ['put', 1, 0, 'y'],
      ],
      'x',
      'y',
    ],
    // kafkajs' own filter gives such a record out: it takes aborted transactions in the order of their end.
    [
      'two that overlap, both aborted',
      [
        ['put', 1, 0, 'x'],
        ['put', 2, 1, 'y'],
        ['abort', 2],
        ['put', 1, 0, 'z'],
        ['abort', 1],
      ],
      undefined,
      undefined,
    ],
    [
      'two that overlap, one aborted',
      [
        ['put', 1, 0, 'x'],
        ['put', 2, 1, 'y'],
        ['abort', 2],
        ['commit', 1],
      ],
      'x',
      'x',
    ],
    [
      'the end of another',
      [
        ['put', 1, 0, 'x'],
        ['commit', 2],
      ],
      undefined,
      'x',
    ],
    [
      'a later one that was committed first',
      [
        ['put', 1, 0, 'x'],
        ['put', 2, 0, 'y'],
        ['commit', 2],
        ['commit', 1],
      ],
      'y',
      'y',
    ],
    [
      'several in one transaction',
      [
        ['put', 1, 0, 'x'],
        ['put', 1, 0, 'y'],
        ['commit', 1],
      ],
      'y',
      'y',
    ],
    ['one outside of transactions', [['plain', -1, 0, 'x']], 'x', 'x'],
  ])('%s', (_name, steps, decided, owned) => {
    expect(
      fold(...steps)
        .markers(() => false)
        .get(0),
    ).toBe(decided);
    expect(
      fold(...steps)
        .markers(() => true)
        .get(0),
    ).toBe(owned);
  });
  it('believes what is open only where it is owned', () => {
    const markers = fold(['put', 1, 0, 'x'], ['put', 2, 1, 'y']).markers((place) => place === 1);
    expect([...markers]).toEqual([[1, 'y']]);
  });
  it('takes a key of four zero bytes for no control record', () => {
    const folded = fold(['put', 1, 0, 'x']);
    folded.add({ offset: 9, producerId: '1', isControl: false, isTransactional: true, key: Buffer.from([0, 0, 0, 0]), value: null });
    folded.add({ offset: 10, producerId: '1', isControl: true, isTransactional: true, key: Buffer.from([0, 0, 0, 1]), value: null });
    expect(folded.markers(() => false).get(0)).toBe('x');
  });
});

describe('the connection', () => {
  const here = ['127.0.0.1:9092', 'localhost:9092', '[::1]:9092'];
  it.each<[string, KafkaConnection, object | undefined]>([
    ['this machine', { brokers: here }, undefined],
    ['another machine', { brokers: ['kafka:9092'] }, { rejectUnauthorized: true }],
    ['one of several on another machine', { brokers: [...here, 'kafka:9092'] }, { rejectUnauthorized: true }],
    ['another machine, off', { brokers: ['kafka:9092'], tls: 'off' }, undefined],
    ['certificates', { brokers: here, tls: { ca: 'x' } }, { ca: 'x', rejectUnauthorized: true }],
  ])('TLS to %s', (_name, connection, tls) => expect(tlsOf(connection)).toEqual(tls));
  it('is what kafkajs is told', () => {
    const sasl = { mechanism: 'scram-sha-256', username: 'u', password: 'p' } as const;
    expect(clientConfig({ brokers: ['kafka:9092'], sasl })).toMatchObject({ brokers: ['kafka:9092'], ssl: { rejectUnauthorized: true }, sasl });
    expect(clientConfig({ brokers: here })).not.toHaveProperty('ssl');
  });
  const sasl = { mechanism: 'plain', username: 'u', password: 'secret' } as const;
  it.each([
    [{}, "a list of 'host:port', not empty: found undefined"],
    [{ brokers: [] }, 'not empty'],
    [{ brokers: ['kafka'] }, 'found "kafka"'],
    [{ brokers: here, tls: 'on' }, "an object or 'off'"],
    [{ brokers: here, tls: { rejectUnauthorized: false } }, 'rejectUnauthorized'],
    [{ brokers: here, tls: { ca: '' } }, 'tls.ca'],
    [{ brokers: here, sasl: 'plain' }, 'the option sasl'],
    [{ brokers: here, sasl: { ...sasl, mechanism: 'gssapi' } }, 'sasl.mechanism'],
    [{ brokers: here, sasl: { ...sasl, username: '' } }, 'sasl.username'],
    [{ brokers: here, sasl: { ...sasl, password: 7 } }, 'sasl.password'],
    [{ brokers: here, sasl: { ...sasl, user: 'secret' } }, 'sasl'],
    [{ brokers: ['kafka:9092'], tls: 'off', sasl }, 'as the password must travel encrypted: tls is off'],
  ])('%j is refused', (given, message) => {
    let said = '';
    try {
      resolveConnection(given as never);
    } catch (error) {
      said = String(error);
    }
    expect(said).toContain(message);
    expect(said).not.toContain('secret');
  });
  it.each([
    ['plain to this machine', { brokers: here, sasl }],
    ['plain over TLS', { brokers: ['kafka:9092'], sasl }],
    ['a challenge without TLS', { brokers: ['kafka:9092'], tls: 'off', sasl: { ...sasl, mechanism: 'scram-sha-512' } }],
  ] as const)('takes %s', (_name, connection) => expect(resolveConnection(connection)).toBe(connection));
});

describe('kafkaSink()', () => {
  const brokers = ['127.0.0.1:9092'];
  it.each([
    ['no topic', { brokers }, 'the option topic'],
    ['a topic that is no name', { brokers, topic: 'a b' }, 'letters, digits, dots, underscores and hyphens'],
    ['a dot', { brokers, topic: '..' }, 'the option topic'],
    ['an unknown option', { brokers, topic: 't', partitions: 3 }, 'the option partitions of kafkaSink as it is unknown'],
    ['a key that is no function', { brokers, topic: 't', key: 'k' }, 'the option key'],
    ['a value that is no function', { brokers, topic: 't', value: 'k' }, 'the option value'],
    ['headers that are no function', { brokers, topic: 't', headers: {} }, 'the option headers'],
    ['a partition that is no function', { brokers, topic: 't', partition: 1 }, 'the option partition'],
    ['one topic for both', { brokers, topic: 't', markerTopic: 't' }, 'another topic than that of the records'],
    ['no time for a transaction', { brokers, topic: 't', transactionTimeout: 0 }, 'transactionTimeout'],
    ['no time to connect again', { brokers, topic: 't', reconnectTimeout: -1 }, 'reconnectTimeout'],
    ['no brokers', { topic: 't' }, 'the option brokers'],
  ])('refuses %s', (_name, options, message) => expect(() => kafkaSink(options as unknown as KafkaSinkOptions<number>)).toThrow(message));
});
