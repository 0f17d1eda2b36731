// Goal: a file is taken once, whole, and never believed when it changed. Method: a program in the simulated world, whose disk the test writes on.
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { milliseconds, seconds, StreamingContext, type FileCodec, type StreamingContextOptions, type TextFileStreamOptions } from '../../../src/index.ts';
import { splitGlob, filePattern } from '../../../src/sources/file-pattern.ts';
import { isVisibleName, ListedFiles } from '../../../src/sources/listed-files.ts';
import { createSimEnv, ManualClock, SeededRandom, SimDisk, SimProcess } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

const code = (name: string, message: string) => expect.objectContaining({ code: name, message: expect.stringContaining(message) as string }) as Error;

/** A world with a directory, and programs that read it one after another. */
class Desk extends World {
  /** The lines of each batch that had any. */
  readonly batches: unknown[][] = [];
  onBatch: () => void = () => undefined;

  constructor() {
    super();
    this.disk.makeDirectory('/in');
    this.disk.makeDirectory('/aside');
  }

  write(path: string, content: string | Uint8Array): void {
    this.disk.create(path);
    this.disk.open(path).write(Buffer.from(content), 0);
  }

  /** Makes a file appear as a whole. */
  moveIn(name: string, content: string | Uint8Array): void {
    this.write('/aside/file', content);
    this.disk.rename('/aside/file', `/in/${name}`);
  }

  async open(options: TextFileStreamOptions & { codec?: FileCodec<string> } = {}, settings: Partial<StreamingContextOptions> = {}): Promise<StreamingContext> {
    const { directory = '/in', ...rest } = options as { directory?: string };
    const create = (): StreamingContext => {
      const context = new StreamingContext({
        appName: 'desk',
        batchInterval: milliseconds(100),
        checkpointInterval: seconds(1),
        taskAttemptsMax: 1,
        ...settings,
      });
      context.textFileStream(directory, { uid: 'files', ...rest }).foreachRDD(
        async (rdd) => {
          const rows = await rdd.collect();
          this.onBatch();
          if (rows.length > 0) this.batches.push(rows);
        },
        { uid: 'out' },
      );
      return context;
    };
    return StreamingContext.getOrCreate('/store', create, this.options());
  }

  async start(...parameters: Parameters<Desk['open']>): Promise<StreamingContext> {
    const context = await this.open(...parameters);
    context.awaitTermination().catch(() => undefined);
    await this.drive(context.start());
    return context;
  }
}

describe('textFileStream()', () => {
  it('takes each file once, in the order of the names, also over a crash', async () => {
    const desk = new Desk();
    await desk.start();
    desk.moveIn('b', '3\n4\n');
    desk.moveIn('a', '1\n2\n');
    await desk.pass(300);
    expect(desk.batches).toEqual([['1', '2', '3', '4']]);
    desk.die();
    desk.moveIn('c', '5');
    const context = await desk.start();
    await desk.pass(300);
    // The batch of a and b was completed before the crash.
    expect(desk.batches.slice(1)).toEqual([['5']]);
    await desk.drive(context.stop());
    await desk.start();
    await desk.pass(2000);
    expect(desk.batches).toHaveLength(2);
  });
  it('leaves out what was there before it began, unless it is told not to', async () => {
    const old = new Desk();
    old.moveIn('old', 'x\n');
    await old.start();
    old.moveIn('new', 'y\n');
    await old.pass(300);
    expect(old.batches).toEqual([['y']]);
    const all = new Desk();
    all.moveIn('old', 'x\n');
    await all.start({ newFilesOnly: false });
    await all.pass(300);
    expect(all.batches).toEqual([['x']]);
  });
  it('leaves out hidden and temporary names', async () => {
    const desk = new Desk();
    await desk.start();
    for (const name of ['.hidden', '_SUCCESS', 'a.tmp', 'b.part', 'c._COPYING_', 'd~']) desk.moveIn(name, `${name}\n`);
    desk.moveIn('taken', 'yes\n');
    await desk.pass(300);
    expect(desk.batches).toEqual([['yes']]);
    expect(['a.swp', 'A.TMP', 'tmp', 'x.txt', 'part-00000'].map(isVisibleName)).toEqual([false, false, true, true, true]);
  });
  it('waits until a file has not changed for the settle time', async () => {
    const desk = new Desk();
    await desk.start({ settleTime: seconds(1) });
    // The simulated disk counts changes instead of telling the time: with a clock before 1970 every change lies in the future, so the second rule is at work.
    desk.clock.jump(-2_000_000_000);
    desk.write('/in/slow', 'a\n');
    const file = desk.disk.open('/in/slow');
    for (let size = 2; size < 20; size += 2) {
      await desk.pass(300);
      file.write(Buffer.from('b\n'), size);
    }
    expect(desk.batches).toEqual([]);
    await desk.pass(1500);
    expect(desk.batches).toEqual([['a', ...Array.from({ length: 9 }, () => 'b')]]);
  });
  it('takes at most as many files and bytes as a batch may', async () => {
    const files = new Desk();
    await files.start({ maxFilesPerBatch: 2 });
    for (let n = 0; n < 5; n++) files.moveIn(`f${n}`, `${n}\n`);
    await files.pass(600);
    expect(files.batches).toEqual([['0', '1'], ['2', '3'], ['4']]);
    const bytes = new Desk();
    await bytes.start({}, { batchBytesMax: 5 });
    for (let n = 0; n < 5; n++) bytes.moveIn(`f${n}`, `${n}\n`);
    await bytes.pass(600);
    expect(bytes.batches).toEqual([['0', '1'], ['2', '3'], ['4']]);
  });
  it('forgets a name when its file is gone, and takes another of that name', async () => {
    const desk = new Desk();
    await desk.start();
    desk.moveIn('f', '1\n');
    await desk.pass(300);
    desk.disk.remove('/in/f');
    await desk.pass(300);
    desk.moveIn('f', '2\n');
    await desk.pass(300);
    expect(desk.batches).toEqual([['1'], ['2']]);
  });
  it('does not take a file again that was written over in place', async () => {
    const desk = new Desk();
    await desk.start();
    desk.moveIn('f', '1\n');
    await desk.pass(300);
    desk.moveIn('f', '2\n');
    await desk.pass(300);
    expect(desk.batches).toEqual([['1']]);
  });
  it.each([
    ['gone', (desk: Desk) => desk.disk.remove('/in/f'), 'it is gone'],
    ['longer', (desk: Desk) => desk.disk.open('/in/f').write(Buffer.from('3\n'), 4), 'it has 6 bytes'],
    ['other bytes', (desk: Desk) => desk.disk.open('/in/f').write(Buffer.from('9'), 0), 'its bytes from 0 to 4 are others'],
    [
      'another file',
      (desk: Desk) => {
        desk.disk.remove('/in/f');
        desk.moveIn('f', '1\n2\n');
      },
      'inode',
    ],
  ])('refuses to run a batch again whose file is %s, and names it', async (_name, change, found) => {
    const desk = new Desk();
    await desk.start();
    desk.onBatch = () => desk.process.kill();
    desk.moveIn('f', '1\n2\n');
    await desk.pass(300);
    desk.onBatch = () => undefined;
    desk.batches.length = 0;
    desk.process = new SimProcess();
    change(desk);
    const context = await desk.open();
    const started = desk.drive(context.start());
    await expect(started).rejects.toMatchObject({ code: 'STREAM_SOURCE_FILE_CHANGED', exitCode: 78 });
    await expect(started).rejects.toEqual(
      code('STREAM_SOURCE_FILE_CHANGED', `Cannot read "/in/f" as a file must stay as it was when its batch was planned, 4 bytes`),
    );
    await expect(started).rejects.toEqual(code('STREAM_SOURCE_FILE_CHANGED', found));
  });
  it('reads compressed files, and files by a codec', async () => {
    const desk = new Desk();
    const codec: FileCodec<string> = { name: 'words', decode: (bytes) => Buffer.from(bytes).toString().split(' ') };
    await desk.start({ codec });
    desk.moveIn('a.gz', gzipSync('to be'));
    desk.moveIn('b', 'or not');
    await desk.until(() => desk.batches.length > 0);
    expect(desk.batches).toEqual([['to', 'be', 'or', 'not']]);
    const lines = new Desk();
    await lines.start();
    lines.moveIn('a.gz', gzipSync('x\r\ny'));
    await lines.until(() => lines.batches.length > 0);
    expect(lines.batches).toEqual([['x', 'y']]);
  });
  it('matches names, directories, and what lies below', async () => {
    const files = (desk: Desk): void => {
      for (const path of ['/in/x', '/in/x/y', '/in/z']) desk.disk.makeDirectory(path);
      desk.write('/in/0.txt', 'top\n');
      desk.write('/in/x/1.txt', 'x\n');
      desk.write('/in/x/1.log', 'log\n');
      desk.write('/in/x/y/2.txt', 'y\n');
      desk.write('/in/z/3.txt', 'z\n');
    };
    const found = async (options: TextFileStreamOptions & { directory?: string }): Promise<unknown[]> => {
      const desk = new Desk();
      files(desk);
      await desk.start({ newFilesOnly: false, ...options });
      await desk.pass(300);
      return desk.batches.flat();
    };
    expect(await found({})).toEqual(['top']);
    expect(await found({ nested: true })).toEqual(['top', 'log', 'x', 'y', 'z']);
    expect(await found({ nested: true, match: '*.txt' })).toEqual(['top', 'x', 'y', 'z']);
    expect(await found({ nested: true, match: 'x/**/*.txt' })).toEqual(['x', 'y']);
    expect(await found({ directory: '/in/{x,z}' })).toEqual(['log', 'x', 'z']);
    expect(await found({ directory: '/in/*', nested: true, match: '*.txt' })).toEqual(['x', 'y', 'z']);
  });
  it('notices a directory that comes and goes below', async () => {
    const desk = new Desk();
    await desk.start({ nested: true });
    desk.disk.makeDirectory('/in/d');
    desk.write('/in/d/f', '1\n');
    await desk.pass(300);
    desk.disk.remove('/in/d');
    await desk.pass(300);
    desk.disk.makeDirectory('/in/d');
    desk.write('/in/d/f', '2\n');
    await desk.pass(300);
    expect(desk.batches).toEqual([['1'], ['2']]);
  });
  it('needs its directory, at the start and later', async () => {
    const desk = new Desk();
    const nowhere = await desk.open({ directory: '/nowhere' } as TextFileStreamOptions);
    await expect(desk.drive(nowhere.start())).rejects.toEqual(code('STREAM_SOURCE_FILE', 'Cannot list "/nowhere" for "files"'));
    const later = new Desk();
    const context = await later.start();
    later.disk.remove('/in');
    await later.pass(300);
    await expect(context.awaitTermination()).rejects.toMatchObject({ code: 'STREAM_SOURCE_FILE', exitCode: 1 });
  });
  it.each([
    [{ settleTime: 0 }, 'settleTime'],
    [{ maxFilesPerBatch: 0 }, 'maxFilesPerBatch'],
    [{ nested: 'yes' }, 'nested'],
    [{ codec: { decode: 1 } }, 'codec'],
    [{ glob: '*' }, 'glob'],
  ])('refuses the options %j', (options, name) => {
    const context = new StreamingContext({ appName: 'a', batchInterval: milliseconds(100) });
    expect(() => context.textFileStream('/in', options as never)).toThrow(code('STREAM_OPTION', name));
  });
});

describe('splitGlob()', () => {
  it.each([
    ['/in', '/in', ''],
    ['in/a*/b', 'in', 'a*/b'],
    ['*/b', '.', '*/b'],
    ['/*/b', '/', '*/b'],
  ])('%s', (directory, base, pattern) => expect(splitGlob(directory)).toEqual({ base, pattern }));
});

describe('ListedFiles', () => {
  it('lists a directory no more than it must', async () => {
    const disk = new SimDisk();
    const clock = new ManualClock(0);
    const process = new SimProcess();
    disk.makeDirectory('/in');
    const env = createSimEnv({ disk, process, clock, random: new SeededRandom(1) });
    let listings = 0;
    const counted = { ...env, files: { ...env.files, entries: (path: string) => ((listings += 1), env.files.entries(path)) } };
    const listed = new ListedFiles('/in', filePattern({ pattern: '', match: undefined, nested: false }));
    for (let look = 0; look < 100; look++) {
      await listed.look(counted);
      clock.advance(1000);
    }
    // For 3 s after the first look, then no more.
    expect(listings).toBe(4);
    disk.create('/in/a');
    expect(await listed.look(counted)).toEqual(['a']);
  });
  it('spends at most a tenth of the time on listing', async () => {
    const disk = new SimDisk();
    const clock = new ManualClock(0);
    disk.makeDirectory('/in');
    const env = createSimEnv({ disk, process: new SimProcess(), clock, random: new SeededRandom(1) });
    const slow = {
      ...env,
      files: {
        ...env.files,
        entries: async (path: string) => {
          const entries = await env.files.entries(path);
          clock.advance(200);
          return entries;
        },
      },
    };
    const listed = new ListedFiles('/in', filePattern({ pattern: '', match: undefined, nested: false }));
    expect(await listed.look(slow)).toEqual([]);
    disk.create('/in/a');
    clock.advance(1799);
    expect(await listed.look(slow)).toBeUndefined();
    clock.advance(1);
    expect(await listed.look(slow)).toEqual(['a']);
  });
});
