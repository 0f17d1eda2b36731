// The states of a context and what each event does in each of them. Total: a missing cell does not compile.

/** The state of a StreamingContext. */
export type ContextState = 'created' | 'starting' | 'running' | 'stopping' | 'stopped' | 'failed';

/** What happens to a context. */
export type ContextEvent = 'start' | 'started' | 'stop' | 'stopped' | 'fail';

/** The next state; `ignored` changes nothing, `illegal` is an error of the caller. A stop during a start waits until the start has ended, so it never meets `starting`. */
export const LIFE_CYCLE: Readonly<Record<ContextState, Readonly<Record<ContextEvent, ContextState | 'ignored' | 'illegal'>>>> = {
  created: { start: 'starting', started: 'illegal', stop: 'stopping', stopped: 'illegal', fail: 'failed' },
  starting: { start: 'illegal', started: 'running', stop: 'illegal', stopped: 'illegal', fail: 'failed' },
  running: { start: 'illegal', started: 'illegal', stop: 'stopping', stopped: 'illegal', fail: 'failed' },
  stopping: { start: 'illegal', started: 'illegal', stop: 'ignored', stopped: 'stopped', fail: 'failed' },
  stopped: { start: 'illegal', started: 'illegal', stop: 'ignored', stopped: 'ignored', fail: 'ignored' },
  failed: { start: 'illegal', started: 'illegal', stop: 'ignored', stopped: 'ignored', fail: 'ignored' },
};
