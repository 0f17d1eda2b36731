// Where a dataset is computed: with which attempts, files and parallelism, and for which batch if for any.
import type { CommitKey } from '../core/ids.ts';
import type { FileSystem } from '../env/file-system.ts';
import type { TaskRunner } from '../executor/task-runner.ts';

/** What the actions of a dataset use. */
export interface RddScope {
  readonly tasks: TaskRunner;
  readonly files: FileSystem;
  /** Partitions of a shuffle for which no count is given. */
  readonly defaultParallelism: number;
  /** Names the dataset in errors. */
  readonly name: string;
  /** The commit key of a partition without its number; undefined outside a batch. */
  readonly commit: Omit<CommitKey, 'partitionId'> | undefined;
}
