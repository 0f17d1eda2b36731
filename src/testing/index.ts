/**
 * Simulations of the outside world, to test programs, sinks and stores: a disk that loses what was not synced, a process that dies at its n-th step, a clock that a test moves; and rules that a store of your own must keep.
 *
 * @packageDocumentation
 */
export { ManualClock } from './manual-clock.ts';
export { ScriptedSource, type ScriptedSourceOptions } from './scripted-source.ts';
export { SeededRandom } from './seeded-random.ts';
export { settle } from './settle.ts';
export { createSimCheckpointStore, SimCheckpointImage } from './sim-checkpoint-store.ts';
export { SimDisk, type SimFileUse } from './sim-disk.ts';
export { createSimEnv, type SimEnvOptions } from './sim-env.ts';
export { createSimFileSystem, type SimFileSystemOptions } from './sim-file-system.ts';
export { SimProcess, SimulatedDeath, type SimProcessOptions, type SimulatedFault, type SimulatedPause, type StepName } from './sim-process.ts';
export { createSimSink, SimTable, type SimCommit } from './sim-sink.ts';
export { checkSinkConformance, type SinkPlace, type SinkUnderTest } from './sink-conformance.ts';
export { checkStoreConformance, type StorePlace, type StoreUnderTest } from './store-conformance.ts';
