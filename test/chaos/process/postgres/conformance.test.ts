// Goal: the Postgres sink keeps the rules of every sink, through a death and a failure at each message. Method: the conformance suite against a real server; each call of a connection, and each answer, is a step of a
// process that can be ended there, whose connections then break.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNodeEnv } from '../../../../src/env/node-env.ts';
import { connectByPg, type Connect, type Link } from '../../../../src/sinks/postgres/driver.ts';
import { resolvePostgresOptions } from '../../../../src/sinks/postgres/options.ts';
import { OpenablePostgresSink } from '../../../../src/sinks/postgres/sink.ts';
import { checkSinkConformance, type SimProcess, type SinkUnderTest } from '../../../../src/testing/index.ts';
import { hasPostgres, Postgres } from '../../../support/postgres.ts';
import { connectionOf } from './sink-calls.ts';

/** Connections whose calls are steps of the process. */
function connectFrom(process: SimProcess): Connect {
  const step = async <R>(name: string, work: () => Promise<R>): Promise<R> => {
    const answer = await (await process.run(name, () => ({ answer: work() }))).answer;
    return process.run(`${name} answered`, () => answer);
  };
  const never = new Promise<never>(() => undefined);
  return async (options) => {
    // A timer of a driver that is dead may still fire in this process.
    if (!process.isAlive) return never;
    const link = await connectByPg(options);
    if (!process.isAlive) {
      await link.end();
      return never;
    }
    process.onDeath(() => void link.end());
    const wrapped: Link = {
      pid: link.pid,
      run: (text) => step(text.slice(0, 20), () => link.run(text)),
      query: (text, values) => step('query', () => link.query(text, values)),
      copy: (text, bytes) => step('copy', () => link.copy(text, bytes)),
      end: () => link.end(),
    };
    return wrapped;
  };
}

describe.skipIf(!hasPostgres())('the Postgres sink', () => {
  let server: Postgres;
  let places = 0;
  beforeAll(async () => {
    server = await Postgres.start();
  });
  afterAll(() => server.close());

  const kind = (options: { readonly key?: readonly string[] }): SinkUnderTest<number> => ({
    createPlace() {
      const place = `place_${++places}`;
      server.sql(`CREATE SCHEMA ${place}; CREATE TABLE ${place}.rows (id int ${'key' in options ? 'PRIMARY KEY' : ''})`);
      const resolved = resolvePostgresOptions({
        connection: connectionOf(server),
        table: `${place}.rows`,
        ledgerSchema: place,
        row: (id: number) => ({ id }),
        ...options,
      });
      return {
        createSink: (process) => new OpenablePostgresSink(resolved, { env: createNodeEnv(), connect: connectFrom(process) }),
        read: () => server.sql(`SELECT id FROM ${place}.rows`).map(Number),
        bury: (sink) => Promise.race([sink.close(), new Promise<void>((resolve) => setTimeout(resolve, 50))]),
        remove: () => void server.sql(`DROP SCHEMA ${place} CASCADE`),
      };
    },
    row: (number) => number,
    isShared: true,
  });

  it.each([
    ['append', {}],
    ['upsert', { key: ['id'] }],
  ])('keeps the rules, %s', async (_mode, options) => expect((await checkSinkConformance(kind(options))).length).toBeGreaterThan(14));
});
