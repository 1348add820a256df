-- AlterTable
ALTER TABLE "MirrorStatus" ADD COLUMN     "errorCounts" JSONB NOT NULL DEFAULT '{}',
ADD COLUMN     "errorKind" TEXT,
ADD COLUMN     "lastStepMs" INTEGER,
ADD COLUMN     "lastStepRows" INTEGER,
ADD COLUMN     "leader" TEXT,
ADD COLUMN     "leaderSince" TIMESTAMPTZ(3),
ADD COLUMN     "rebuildCount" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "reorgBlocks" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN     "rowCount" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN     "stepCount" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN     "stepMs" BIGINT NOT NULL DEFAULT 0;


-- Prefixes of keys are searched by range, in the order of their bytes, whatever the database's own order is.
ALTER TABLE "ReplayRow" ALTER COLUMN "id" TYPE TEXT COLLATE "C";
