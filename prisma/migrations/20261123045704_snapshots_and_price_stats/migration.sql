-- AlterTable
ALTER TABLE "MarketStats" DROP COLUMN "badDebtE18",
DROP COLUMN "highE18",
DROP COLUMN "lowE18",
DROP COLUMN "priceE18",
DROP COLUMN "squaredReturnE18";

-- AlterTable
ALTER TABLE "MarketStatusChange" ADD COLUMN     "priceE18" DECIMAL(78,0);

-- AlterTable
ALTER TABLE "OracleFeed" ADD COLUMN     "answerSource" TEXT;

-- AlterTable
ALTER TABLE "PoolSnapshot" ADD COLUMN     "feeE6" INTEGER NOT NULL,
ADD COLUMN     "pool" TEXT NOT NULL;

-- AlterTable
ALTER TABLE "PriceUpdate" ALTER COLUMN "ageSec" DROP NOT NULL;

-- CreateTable
CREATE TABLE "FeedSnapshot" (
    "id" TEXT NOT NULL,
    "feedId" TEXT NOT NULL,
    "dispatcher" TEXT NOT NULL,
    "fallbackSource" TEXT,
    "aggregator" TEXT,
    "answerSource" TEXT,
    "decimals" INTEGER NOT NULL,
    "timeoutSec" DECIMAL(78,0),
    "priceE18" DECIMAL(78,0),
    "priceTimestamp" BIGINT,
    "observationIndex" INTEGER,
    "observationPriceE18" DECIMAL(78,0),
    "observationPriceCumulativeE18" DECIMAL(78,0),
    "observationTimestamp" BIGINT,
    "answer" DECIMAL(78,0),
    "roundId" DECIMAL(78,0),
    "answerTimestamp" BIGINT,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "FeedSnapshot_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "PriceStats" (
    "id" TEXT NOT NULL,
    "interval" TEXT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "feedId" TEXT NOT NULL,
    "priceE18" DECIMAL(78,0) NOT NULL,
    "highE18" DECIMAL(78,0) NOT NULL,
    "lowE18" DECIMAL(78,0) NOT NULL,
    "squaredReturnE18" DECIMAL(78,0) NOT NULL,
    "samples" BIGINT NOT NULL,

    CONSTRAINT "PriceStats_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "FeedSnapshot_feedId_blockNumber_logIndex_idx" ON "FeedSnapshot"("feedId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "FeedSnapshot_blockNumber_logIndex_idx" ON "FeedSnapshot"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "PriceStats_feedId_interval_timestamp_idx" ON "PriceStats"("feedId", "interval", "timestamp");
