-- AlterTable
ALTER TABLE "BreakerChange" ADD COLUMN     "seenBlock" BIGINT,
ADD COLUMN     "seenTimestamp" BIGINT;
