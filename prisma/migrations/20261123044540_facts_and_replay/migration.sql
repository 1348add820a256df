-- The index is read anew: its rows lack what is added here.
TRUNCATE "ParameterChange", "PriceUpdate", "Checkpoint", "UndoLog";

-- CreateEnum
CREATE TYPE "GovernanceKind" AS ENUM ('SAFE_EXECUTED', 'SAFE_FAILED', 'SAFE_OWNER_ADDED', 'SAFE_OWNER_REMOVED', 'SAFE_THRESHOLD_CHANGED', 'SAFE_MODULE_ENABLED', 'SAFE_MODULE_DISABLED', 'SAFE_MODULE_EXECUTED', 'SAFE_MODULE_FAILED', 'SAFE_GUARD_CHANGED', 'SAFE_FALLBACK_HANDLER_CHANGED', 'SAFE_SETUP', 'SAFE_HASH_APPROVED', 'SAFE_MESSAGE_SIGNED', 'TIMELOCK_SCHEDULED', 'TIMELOCK_EXECUTED', 'TIMELOCK_CANCELLED', 'TIMELOCK_DELAY_CHANGED', 'TIMELOCK_ROLE_GRANTED', 'TIMELOCK_ROLE_REVOKED');

-- AlterTable
ALTER TABLE "OracleFeed" ADD COLUMN     "aggregator" TEXT,
ADD COLUMN     "decimals" INTEGER,
ADD COLUMN     "timeoutSec" DECIMAL(78,0);

-- AlterTable
ALTER TABLE "ParameterChange" ADD COLUMN     "executor" TEXT,
ADD COLUMN     "source" "ValueSource" NOT NULL;

-- AlterTable
ALTER TABLE "PriceUpdate" ADD COLUMN     "ageSec" DECIMAL(78,0) NOT NULL;

-- CreateTable
CREATE TABLE "Contract" (
    "id" TEXT NOT NULL,
    "protocolId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "owner" TEXT,
    "implementation" TEXT,
    "updatedAtBlock" BIGINT NOT NULL,
    "updatedAtTimestamp" BIGINT NOT NULL,

    CONSTRAINT "Contract_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "FundingUpdate" (
    "id" TEXT NOT NULL,
    "marketId" TEXT NOT NULL,
    "marketTwapE18" DECIMAL(78,0) NOT NULL,
    "indexTwapE18" DECIMAL(78,0) NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "FundingUpdate_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "PoolSnapshot" (
    "id" TEXT NOT NULL,
    "marketId" TEXT NOT NULL,
    "sqrtPriceX96" DECIMAL(78,0) NOT NULL,
    "tick" INTEGER NOT NULL,
    "liquidity" DECIMAL(78,0) NOT NULL,
    "tickSpacing" INTEGER NOT NULL,
    "observationIndex" INTEGER NOT NULL,
    "observationCardinality" INTEGER NOT NULL,
    "observationCardinalityNext" INTEGER NOT NULL,
    "observationTimestamp" BIGINT NOT NULL,
    "observationTickCumulative" DECIMAL(78,0) NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "PoolSnapshot_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "PoolSwap" (
    "id" TEXT NOT NULL,
    "marketId" TEXT NOT NULL,
    "baseDeltaE18" DECIMAL(78,0) NOT NULL,
    "quoteDeltaE18" DECIMAL(78,0) NOT NULL,
    "sqrtPriceX96" DECIMAL(78,0) NOT NULL,
    "liquidity" DECIMAL(78,0) NOT NULL,
    "tick" INTEGER NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "PoolSwap_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "PoolLiquidityChange" (
    "id" TEXT NOT NULL,
    "marketId" TEXT NOT NULL,
    "owner" TEXT NOT NULL,
    "lowerTick" INTEGER NOT NULL,
    "upperTick" INTEGER NOT NULL,
    "liquidityDelta" DECIMAL(78,0) NOT NULL,
    "baseE18" DECIMAL(78,0) NOT NULL,
    "quoteE18" DECIMAL(78,0) NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "PoolLiquidityChange_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "PoolObservationsIncrease" (
    "id" TEXT NOT NULL,
    "marketId" TEXT NOT NULL,
    "oldCardinalityNext" INTEGER NOT NULL,
    "newCardinalityNext" INTEGER NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "PoolObservationsIncrease_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "OracleAnswer" (
    "id" TEXT NOT NULL,
    "aggregator" TEXT NOT NULL,
    "answer" DECIMAL(78,0) NOT NULL,
    "roundId" DECIMAL(78,0) NOT NULL,
    "answerTimestamp" BIGINT NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "OracleAnswer_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "OracleSourceChange" (
    "id" TEXT NOT NULL,
    "feedId" TEXT NOT NULL,
    "dispatcher" TEXT NOT NULL,
    "fallback" BOOLEAN NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "OracleSourceChange_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ContractUpgrade" (
    "id" TEXT NOT NULL,
    "contractId" TEXT NOT NULL,
    "oldImplementation" TEXT,
    "newImplementation" TEXT NOT NULL,
    "sender" TEXT NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "ContractUpgrade_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "OwnershipChange" (
    "id" TEXT NOT NULL,
    "contractId" TEXT NOT NULL,
    "oldOwner" TEXT NOT NULL,
    "newOwner" TEXT NOT NULL,
    "sender" TEXT NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "OwnershipChange_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "WiringChange" (
    "id" TEXT NOT NULL,
    "contractId" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "newAddress" TEXT NOT NULL,
    "sender" TEXT NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "WiringChange_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "GovernanceEvent" (
    "id" TEXT NOT NULL,
    "contractId" TEXT NOT NULL,
    "kind" "GovernanceKind" NOT NULL,
    "operation" TEXT,
    "subject" TEXT,
    "value" DECIMAL(78,0),
    "sender" TEXT NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "GovernanceEvent_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "MarketStats" (
    "id" TEXT NOT NULL,
    "interval" TEXT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "marketId" TEXT NOT NULL,
    "volumeE18" DECIMAL(78,0) NOT NULL,
    "feesE18" DECIMAL(78,0) NOT NULL,
    "liquidatedNotionalE18" DECIMAL(78,0) NOT NULL,
    "badDebtE18" DECIMAL(78,0) NOT NULL,
    "openInterestLongE18" DECIMAL(78,0) NOT NULL,
    "openInterestShortE18" DECIMAL(78,0) NOT NULL,
    "priceE18" DECIMAL(78,0) NOT NULL,
    "highE18" DECIMAL(78,0) NOT NULL,
    "lowE18" DECIMAL(78,0) NOT NULL,
    "squaredReturnE18" DECIMAL(78,0) NOT NULL,
    "samples" BIGINT NOT NULL,

    CONSTRAINT "MarketStats_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "FundStats" (
    "id" TEXT NOT NULL,
    "interval" TEXT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "fundId" TEXT NOT NULL,
    "balanceE18" DECIMAL(78,0) NOT NULL,
    "lowestE18" DECIMAL(78,0) NOT NULL,
    "inflowE18" DECIMAL(78,0) NOT NULL,
    "outflowE18" DECIMAL(78,0) NOT NULL,
    "badDebtE18" DECIMAL(78,0) NOT NULL,

    CONSTRAINT "FundStats_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ReplayRow" (
    "id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "value" JSONB NOT NULL,

    CONSTRAINT "ReplayRow_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ReplayStatus" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "version" INTEGER NOT NULL,
    "blockNumber" BIGINT NOT NULL,

    CONSTRAINT "ReplayStatus_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "FundingUpdate_marketId_blockNumber_logIndex_idx" ON "FundingUpdate"("marketId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "FundingUpdate_blockNumber_logIndex_idx" ON "FundingUpdate"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "PoolSnapshot_marketId_blockNumber_logIndex_idx" ON "PoolSnapshot"("marketId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "PoolSnapshot_blockNumber_logIndex_idx" ON "PoolSnapshot"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "PoolSwap_marketId_blockNumber_logIndex_idx" ON "PoolSwap"("marketId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "PoolSwap_blockNumber_logIndex_idx" ON "PoolSwap"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "PoolLiquidityChange_marketId_blockNumber_logIndex_idx" ON "PoolLiquidityChange"("marketId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "PoolLiquidityChange_blockNumber_logIndex_idx" ON "PoolLiquidityChange"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "PoolObservationsIncrease_marketId_blockNumber_logIndex_idx" ON "PoolObservationsIncrease"("marketId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "PoolObservationsIncrease_blockNumber_logIndex_idx" ON "PoolObservationsIncrease"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "OracleAnswer_blockNumber_logIndex_idx" ON "OracleAnswer"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "OracleSourceChange_feedId_blockNumber_logIndex_idx" ON "OracleSourceChange"("feedId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "OracleSourceChange_blockNumber_logIndex_idx" ON "OracleSourceChange"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "ContractUpgrade_contractId_blockNumber_logIndex_idx" ON "ContractUpgrade"("contractId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "ContractUpgrade_blockNumber_logIndex_idx" ON "ContractUpgrade"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "OwnershipChange_contractId_blockNumber_logIndex_idx" ON "OwnershipChange"("contractId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "OwnershipChange_blockNumber_logIndex_idx" ON "OwnershipChange"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "WiringChange_contractId_blockNumber_logIndex_idx" ON "WiringChange"("contractId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "WiringChange_blockNumber_logIndex_idx" ON "WiringChange"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "GovernanceEvent_contractId_blockNumber_logIndex_idx" ON "GovernanceEvent"("contractId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "GovernanceEvent_blockNumber_logIndex_idx" ON "GovernanceEvent"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "MarketStats_marketId_interval_timestamp_idx" ON "MarketStats"("marketId", "interval", "timestamp");

-- CreateIndex
CREATE INDEX "FundStats_fundId_interval_timestamp_idx" ON "FundStats"("fundId", "interval", "timestamp");

-- CreateIndex
CREATE INDEX "ReplayRow_kind_idx" ON "ReplayRow"("kind");
