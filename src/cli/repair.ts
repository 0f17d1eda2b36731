// The command `wal repair`: says what cutting the log gives up, and cuts it if that is accepted.
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { Checkpoints } from '../checkpoint/checkpoints.ts';
import { refuseDeadlyStore } from '../checkpoint/guarded-store.ts';
import { checkpointDirectory } from '../recovery/store-layout.ts';
import { isBlank } from '../wal/frame.ts';
import type { RepairCommand } from './arguments.ts';
import type { RecordLine } from './describe-record.ts';
import { EventCheck } from './event-check.ts';
import { isVersionError, TOOL_CODES, type ToolCode } from './exit-codes.ts';
import { damagePlace, judgeFindings } from './fsck-report.ts';
import { absentSentence, withStore, type HeldStore } from './open-store.ts';
import { performRepair } from './perform-repair.ts';
import { readBehind, type Behind } from './read-behind.ts';
import { cutPlaceAt, planRepair, requireCutWithin, requireHeadsBehind, type CutPlace, type PlannedSegment } from './repair-plan.ts';
import { repairJson, repairLines, type RepairFindings, type RepairStage } from './repair-report.ts';
import { isWhole, surveyLog, type LogPlace, type Survey } from './survey.ts';
import { withHandle, type Tool } from './tool.ts';

const PIECE_BYTES = 1024 * 1024;

/** All records of a log with what checks them. */
class RepairVisitor extends EventCheck {
  readonly lines: readonly RecordLine[];

  constructor() {
    const lines: RecordLine[] = [];
    super((line) => lines.push(line));
    this.lines = lines;
  }
}

type RepairSurvey = Survey<RepairVisitor>;

/** The place up to which everything is whole, and every record an event that follows from those before. */
function goodEnd({ end, visitor }: RepairSurvey): LogPlace {
  return visitor.problem?.place ?? end;
}

function segmentsOf(survey: RepairSurvey, sizes: ReadonlyMap<number, number>): readonly PlannedSegment[] {
  return survey.heads.map((head) => ({
    segment: head.segment,
    fileBytes: sizes.get(head.segment) ?? 0,
    firstLsn: isWhole(head) ? head.header.firstLsn : undefined,
    previousEnd: isWhole(head) ? head.header.previousEnd : undefined,
  }));
}

async function isRestBlank({ log }: HeldStore, survey: RepairSurvey, { keep }: CutPlace): Promise<boolean> {
  const path = survey.heads.find(({ segment }) => segment === keep?.segment)?.path;
  if (keep === undefined || path === undefined) return true;
  return withHandle(log.files, { path, mode: 'read' }, async (handle) => {
    for (let offset = keep.offset; offset < keep.fileBytes; offset += PIECE_BYTES)
      if (!isBlank(Buffer.from(await handle.read(offset, PIECE_BYTES)))) return false;
    return true;
  });
}

/** Where the cut is: at the record that was given, or at the first damage. Undefined where there is neither. */
function wantedPlace(survey: RepairSurvey, truncateAt: number | undefined): LogPlace | undefined {
  const good = goodEnd(survey);
  const isDamaged = survey.damage !== undefined || survey.visitor.problem !== undefined;
  if (truncateAt === undefined) return isDamaged ? good : undefined;
  requireCutWithin(truncateAt, { firstLsn: Math.min(survey.firstLsn, good.lsn), endLsn: good.lsn, isDamaged });
  const line = survey.visitor.lines.find(({ lsn }) => lsn === truncateAt);
  return line ?? { ...good, lsn: truncateAt };
}

async function findCut(store: HeldStore, survey: RepairSurvey, at: LogPlace): Promise<Pick<RepairFindings, 'cut' | 'givenUp' | 'unreadable' | 'steps'>> {
  const sizes = new Map<number, number>();
  for (const { segment, path } of survey.heads) sizes.set(segment, (await store.log.files.stat(path))?.size ?? 0);
  const segments = segmentsOf(survey, sizes);
  const isWholeLog = survey.damage === undefined && survey.tornBytes === 0;
  const isNothingCut = isWholeLog && at.lsn === survey.end.lsn;
  const last = segments.at(-1);
  const cut: CutPlace = isNothingCut
    ? { lsn: at.lsn, keep: last === undefined ? undefined : { segment: last.segment, offset: at.offset, fileBytes: last.fileBytes }, isVoid: false }
    : cutPlaceAt(segments, at);
  const behind: Behind = survey.damage === undefined ? { records: [], unreadable: [] } : await readBehind(store.log, survey.heads, survey.end);
  const before = survey.visitor.lines.filter(({ lsn }) => lsn >= at.lsn);
  const steps = isNothingCut ? [] : planRepair(segments, cut, await isRestBlank(store, survey, cut));
  return { cut, givenUp: [...before, ...behind.records], unreadable: behind.unreadable, steps };
}

/** Refuses a cut that a checkpoint is ahead of. */
async function checkHeads(checkpointStore: CheckpointStore, tool: Tool, cut: { readonly lsn: number; readonly endLsn: number }): Promise<void> {
  const { whole, damaged } = await new Checkpoints(checkpointStore).heads();
  for (const number of damaged) tool.err(`note: checkpoint ${number} is damaged, so it cannot be told which records it was folded from`);
  requireHeadsBehind(
    whole.map(({ head }) => ({ number: head.number, lsn: head.lsn })),
    cut,
  );
}

/** Cuts the log. LevelDB, whose own files change when it is opened, stays open meanwhile: its lock holds where the system has none for directories. */
async function cutLog(store: HeldStore, tool: Tool, found: RepairFindings & { readonly cut: CutPlace; readonly endLsn: number }): Promise<RepairStage> {
  const checkpointStore = tool.createStore(checkpointDirectory(store.directory));
  try {
    await refuseDeadlyStore(checkpointStore, { files: tool.env.files, directory: store.directory });
    await checkpointStore.open('existing');
    await checkHeads(checkpointStore, tool, { lsn: found.cut.lsn, endLsn: found.endLsn });
    const copies = await performRepair(tool.env, store.log.directory, found.steps);
    const after = await surveyLog(store.log, () => new EventCheck());
    const { verdict } = judgeFindings({ ...after, problem: after.visitor.problem });
    return { kind: 'done', copies, verdict, damage: after.damage ?? after.visitor.problem?.error };
  } finally {
    await checkpointStore.close();
  }
}

async function repairStore(store: HeldStore, command: RepairCommand, tool: Tool): Promise<ToolCode> {
  const survey = await surveyLog(store.log, () => new RepairVisitor());
  const { problem } = survey.visitor;
  if (problem !== undefined && isVersionError(problem.error)) throw problem.error;
  const damage = damagePlace({ ...survey, problem });
  const at = wantedPlace(survey, command.truncateAt);
  const place = at === undefined ? { cut: undefined, givenUp: [], unreadable: [], steps: [] } : await findCut(store, survey, at);
  const found: RepairFindings = { directory: store.directory, damage, tornBytes: survey.tornBytes, ...place };
  const { cut } = found;
  const isCut = command.isLossAccepted && cut !== undefined;
  const stage: RepairStage = isCut ? await cutLog(store, tool, { ...found, cut, endLsn: goodEnd(survey).lsn }) : { kind: 'proposed' };
  const isBad = stage.kind === 'done' ? stage.damage !== undefined : damage !== undefined;
  const exitCode = isBad ? TOOL_CODES.corrupt : TOOL_CODES.clean;
  for (const line of command.isJson ? [repairJson(found, stage, exitCode)] : repairLines(found, stage)) tool.out(line);
  return exitCode;
}

/**
 * Says what cutting the log at a record gives up, and cuts it if that was accepted: the bytes that are taken away are kept beside the log.
 *
 * @throws {StreamError} If the directory cannot be read at all, the log cannot be cut there, or a checkpoint would be ahead of the log.
 */
export async function repair(command: RepairCommand, tool: Tool): Promise<ToolCode> {
  return withStore(tool.env, command.directory, async (store) => {
    if (store !== undefined) return repairStore(store, command, tool);
    tool.out(
      command.isJson ? JSON.stringify({ exitCode: TOOL_CODES.clean, verdict: 'absent', directory: command.directory }) : absentSentence(command.directory),
    );
    return TOOL_CODES.clean;
  });
}
