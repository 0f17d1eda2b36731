// Goal: a savepoint is a store in one file: it takes the place of damaged checkpoints, and it begins a store in another place, with nothing lost and nothing doubled. Method: programs and the tool in
// the simulated world; every byte of a file exchanged.
import { describe, expect, it } from 'vitest';
import { run } from '../../../src/cli/run.ts';
import type { CheckpointStore } from '../../../src/checkpoint/checkpoint-store.ts';
import { readSavepoint, readSavepointHeader, writeSavepoint } from '../../../src/checkpoint/savepoint-file.ts';
import { milliseconds, StreamingContext, type Env, type GetOrCreateOptions } from '../../../src/index.ts';
import { createSimCheckpointStore, createSimSink, ScriptedSource, SimCheckpointImage, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

type Pair = readonly [string, number];
const WORDS = Array.from({ length: 60 }, (_, index) => `w${(index * 7) % 11}`.padEnd(500, 'x'));

/** A store, or several, and the tool on them. */
class Place extends World {
  readonly table = new SimTable<Pair>();
  readonly source = new ScriptedSource<string>({ records: WORDS, window: 2 });
  /** A checkpoint store for each store directory. */
  readonly images = new Map<string, SimCheckpointImage>();

  override options(): GetOrCreateOptions {
    const checkpointStore = (directory: string): CheckpointStore => {
      const image = this.images.get(directory) ?? new SimCheckpointImage();
      this.images.set(directory, image);
      return createSimCheckpointStore(image, this.process);
    };
    return { ...super.options(), checkpointStore };
  }

  async start(directory: string, more: GetOrCreateOptions = {}, app = 'savepoints'): Promise<StreamingContext> {
    const create = (): StreamingContext => {
      const context = new StreamingContext({
        appName: app,
        batchInterval: milliseconds(100),
        blockInterval: milliseconds(20),
        checkpointInterval: milliseconds(200),
        segmentBytesMax: 8192,
        ballastBytes: 0,
        taskAttemptsMax: 1,
      });
      context
        .receiverStream(this.source.receiver(this.process), { uid: 'words' })
        .map((word) => [word, 1])
        .updateStateByKey<number>((values, sum = 0) => values.length + sum, { uid: 'counts', numPartitions: 2 })
        .saveTo(createSimSink<Pair>(this.table, this.process), { uid: 'table' });
      return context;
    };
    const context = await StreamingContext.getOrCreate(directory, create, { ...this.options(), ...more });
    context.awaitTermination().catch(() => undefined);
    return context;
  }

  /** Runs for a while, then is killed or stops. */
  async live(
    directory: string,
    { ms, end, more = {} }: { readonly ms: number; readonly end: 'kill' | 'stop'; readonly more?: GetOrCreateOptions },
  ): Promise<void> {
    const context = await this.start(directory, more);
    await this.drive(context.start());
    await this.pass(ms);
    if (end === 'stop') await this.drive(context.stop());
    this.die();
  }

  async tool(...words: readonly string[]): Promise<{ readonly code: number; readonly answer: Record<string, unknown>; readonly err: string }> {
    const out: string[] = [];
    const err: string[] = [];
    const { env, checkpointStore } = this.options() as { env: Env; checkpointStore: (directory: string) => CheckpointStore };
    const load = (path: string): Promise<never> => Promise.reject(new Error(`no module is at ${path}`));
    const code = await run([...words, '--json'], { env, createStore: checkpointStore, load, out: (line) => out.push(line), err: (line) => err.push(line) });
    this.die();
    return { code, answer: JSON.parse(out[0] ?? '{}') as Record<string, unknown>, err: err.join('\n') };
  }

  /** The checkpoint store of `/store`. */
  get stored(): SimCheckpointImage {
    const image = this.images.get('/store/checkpoint');
    if (image === undefined) throw new Error('there is no store');
    return image;
  }

  async finish(directory: string, more: GetOrCreateOptions = {}): Promise<void> {
    const context = await this.start(directory, more);
    await this.drive(context.start());
    await this.until(() => this.source.isDone);
    await this.drive(context.stop());
    this.die();
  }

  /** What is wrong with the counts in the table. */
  findings(): readonly string[] {
    const truth: Record<string, number> = {};
    for (const word of WORDS) truth[word] = (truth[word] ?? 0) + 1;
    const found = Object.fromEntries(this.table.commits.flatMap(({ rows }) => rows));
    const keys = this.table.commits.map(({ key }) => `${key.batchTime}/${key.partitionId}`);
    return [
      ...Object.keys(truth).flatMap((word) => (found[word] === truth[word] ? [] : [`${word}: ${String(found[word])}, not ${String(truth[word])}`])),
      ...(new Set(keys).size === keys.length ? [] : ['a partition was committed twice']),
    ];
  }

  /** Damages every blob and head of `/store` that was written so far. */
  damageCheckpoints(): void {
    for (const [key, value] of this.stored.values) {
      const damaged = Buffer.from(value);
      damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
      this.stored.values.set(key, damaged);
    }
  }
}

describe('a registered savepoint', () => {
  it('takes the place of damaged checkpoints, with the log behind it', async () => {
    const place = new Place();
    await place.live('/store', { ms: 650, end: 'kill' });
    expect(await place.tool('savepoint', 'register', '/store', 'before')).toMatchObject({ code: 0, answer: { number: expect.any(Number) as number } });
    await place.live('/store', { ms: 900, end: 'kill' });
    place.damageCheckpoints();
    await place.live('/store', { ms: 300, end: 'kill' });
    await place.finish('/store');
    expect(place.findings()).toEqual([]);
  });
  it('is what makes the difference: without it the store refuses', async () => {
    const place = new Place();
    await place.live('/store', { ms: 650, end: 'kill' });
    await place.live('/store', { ms: 900, end: 'kill' });
    place.damageCheckpoints();
    const context = await place.start('/store');
    await expect(place.drive(context.start())).rejects.toMatchObject({ code: 'STREAM_CHECKPOINT_CORRUPT', exitCode: 78 });
  });
  it('keeps the log back until it is forgotten', async () => {
    const place = new Place();
    await place.live('/store', { ms: 450, end: 'kill' });
    await place.tool('savepoint', 'register', '/store', 'early');
    await place.live('/store', { ms: 1500, end: 'stop' });
    const listed = await place.tool('savepoint', 'list', '/store');
    const [{ neededLsn: needed } = { neededLsn: 0 }] = listed.answer['savepoints'] as readonly { readonly neededLsn: number }[];
    const kept = await place.tool('inspect', '/store');
    expect(kept.answer).toMatchObject({ log: { lowWater: { lsn: needed, because: 'the savepoint "early" needs all from there on' } } });
    expect((kept.answer['log'] as { first: number }).first).toBeLessThanOrEqual(needed);
    expect((await place.tool('savepoint', 'forget', '/store', 'early')).code).toBe(0);
    expect(await place.tool('savepoint', 'list', '/store')).toMatchObject({ answer: { savepoints: [] } });
    await place.live('/store', { ms: 700, end: 'stop' });
    await place.finish('/store');
    const { answer: after } = await place.tool('inspect', '/store');
    expect((after['log'] as { first: number }).first).toBeGreaterThan(needed);
    expect(place.findings()).toEqual([]);
  });
  it('that is damaged refuses the start, and names the file', async () => {
    const place = new Place();
    await place.live('/store', { ms: 650, end: 'kill' });
    await place.tool('savepoint', 'register', '/store', 'before');
    const path = '/store/savepoints/before.savepoint';
    const bytes = place.disk.readVolatile(path);
    bytes[40] = (bytes[40] ?? 0) ^ 1;
    place.disk.overwrite(path, bytes);
    const context = await place.start('/store').catch((error: unknown) => error);
    const refused = context instanceof StreamingContext ? place.drive(context.start()) : Promise.reject(context as Error);
    await expect(refused).rejects.toMatchObject({ code: 'STREAM_SAVEPOINT', exitCode: 78, message: expect.stringContaining(path) as string });
  });
  it.each([
    ['a name that is taken', ['register', '/store', 'before'], 'its name must be free'],
    ['a name that is none', ['register', '/store', '../x'], 'as the name of a savepoint'],
    ['to forget what is not there', ['forget', '/store', 'other'], 'must be registered'],
    ['to export what is not at rest', ['export', '/store', '/out'], 'Stop the program cleanly, or run it with drain, first'],
  ])('refuses %s', async (_name, words, message) => {
    const place = new Place();
    await place.live('/store', { ms: 650, end: 'kill' });
    await place.tool('savepoint', 'register', '/store', 'before');
    const { code, err } = await place.tool('savepoint', ...words);
    expect([code, err]).toEqual([64, expect.stringContaining(message)]);
  });
});

describe('an exported savepoint', () => {
  async function exported(): Promise<Place> {
    const place = new Place();
    await place.live('/store', { ms: 450, end: 'kill' });
    await place.live('/store', { ms: 600, end: 'stop' });
    expect((await place.tool('savepoint', 'export', '/store', '/out.savepoint')).code).toBe(0);
    return place;
  }
  it('begins a store in another place: positions, state and rows go on', async () => {
    const place = await exported();
    const more = { fromSavepoint: '/out.savepoint' };
    await place.live('/moved', { ms: 350, end: 'kill', more });
    await place.live('/moved', { ms: 450, end: 'kill', more });
    await place.finish('/moved', more);
    expect(place.findings()).toEqual([]);
    // The old place is behind: its epoch is not newer than that of the sink.
    const old = await place.start('/store');
    await expect(place.drive(old.start())).rejects.toMatchObject({
      exitCode: expect.any(Number) as number,
      code: expect.stringMatching(/STREAM_FENCED|STREAM_SINK_CONFLICT/) as string,
    });
  });
  it('is imported by the tool as well', async () => {
    const place = await exported();
    expect((await place.tool('savepoint', 'import', '/moved', '/out.savepoint')).code).toBe(0);
    expect(await place.tool('savepoint', 'import', '/moved', '/out.savepoint')).toMatchObject({
      code: 64,
      err: expect.stringContaining('no store must be there') as string,
    });
    await place.finish('/moved');
    expect(place.findings()).toEqual([]);
  });
  it('is not replaced by an empty state when the checkpoints of the new place are damaged', async () => {
    const place = await exported();
    await place.tool('savepoint', 'import', '/moved', '/out.savepoint');
    const image = place.images.get('/moved/checkpoint');
    for (const [key, value] of image?.values ?? []) image?.values.set(key, value.subarray(1));
    const context = await place.start('/moved');
    await expect(place.drive(context.start())).rejects.toMatchObject({
      code: 'STREAM_CHECKPOINT_CORRUPT',
      message: expect.stringContaining('behind the savepoint that the store began with') as string,
    });
  });
  it('survives a death at every step of the import', async () => {
    for (let killAt = 1; ; killAt++) {
      const place = await exported();
      place.process = new (place.process.constructor as new (options: object) => typeof place.process)({ killAt });
      const open = place.start('/moved', { fromSavepoint: '/out.savepoint' }).then(() => true);
      const isOver = await Promise.race([open, place.process.died.then(() => false)]);
      place.die();
      await place.finish('/moved', { fromSavepoint: '/out.savepoint' });
      expect({ killAt, findings: place.findings() }).toEqual({ killAt, findings: [] });
      if (isOver) {
        expect(killAt).toBeGreaterThan(15);
        return;
      }
    }
  });
  it('of another application, or beside another store, is refused', async () => {
    const place = await exported();
    await expect(place.start('/moved', { fromSavepoint: '/out.savepoint' }, 'other')).rejects.toMatchObject({ code: 'STREAM_SAVEPOINT', exitCode: 64 });
    place.die();
    await expect(place.start('/store', { fromSavepoint: '/out.savepoint' })).rejects.toMatchObject({
      message: expect.stringContaining('began without one') as string,
    });
  });
  it('gives each operator its own state, also one whose uid is a number', async () => {
    const place = await exported();
    const { env } = place.options() as { env: Env };
    const { header, ledger } = await readSavepoint(env.files, '/out.savepoint');
    const slots = ['counts', '7', '10'].map((uid) => ({ uid, slot: 1, entries: 1, payloads: [Buffer.from(`of ${uid}`)] }));
    await writeSavepoint(env.files, '/again.savepoint', { header, ledger, slots });
    const read = (await readSavepoint(env.files, '/again.savepoint')).slots.map(({ uid, payloads }) => [uid, Buffer.concat(payloads).toString()]);
    expect(new Map(read as [string, string][])).toEqual(new Map(slots.map(({ uid }) => [uid, `of ${uid}`])));
  });
  it('is refused when any byte is another, or missing', async () => {
    const place = await exported();
    const whole = place.disk.readVolatile('/out.savepoint');
    const { env } = place.options() as { env: Env };
    const read = async (bytes: Uint8Array): Promise<unknown> => {
      place.disk.overwrite('/out.savepoint', bytes);
      return readSavepoint(env.files, '/out.savepoint').catch((error: unknown) => error);
    };
    expect(await read(whole)).toMatchObject({ header: { app: 'savepoints' } });
    for (let index = 0; index < whole.length; index++) {
      const damaged = Buffer.from(whole);
      damaged[index] = (damaged[index] ?? 0) ^ 8;
      expect(await read(damaged)).toMatchObject({ code: 'STREAM_SAVEPOINT', exitCode: 78 });
    }
    for (let length = 0; length < whole.length; length += 7) expect(await read(whole.subarray(0, length))).toMatchObject({ code: 'STREAM_SAVEPOINT' });
    place.disk.overwrite('/out.savepoint', whole);
    expect(await readSavepointHeader(env.files, '/out.savepoint')).toMatchObject({ app: 'savepoints', lsn: 0 });
  });
});
