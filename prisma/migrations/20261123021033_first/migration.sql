-- CreateEnum
CREATE TYPE "Scope" AS ENUM ('PROTOCOL', 'MARKET', 'COLLATERAL', 'ACCOUNT');

-- CreateEnum
CREATE TYPE "MarketState" AS ENUM ('OPEN', 'PAUSED', 'CLOSED');

-- CreateEnum
CREATE TYPE "ValueSource" AS ENUM ('EVENT', 'CALL');

-- CreateEnum
CREATE TYPE "InsuranceFlowKind" AS ENUM ('TRADING_FEE', 'LIQUIDATION_PENALTY', 'COLLATERAL_LIQUIDATION_FEE', 'BAD_DEBT', 'REPAID', 'DISTRIBUTED', 'TRANSFER_IN', 'TRANSFER_OUT');

-- CreateEnum
CREATE TYPE "CollateralChangeKind" AS ENUM ('DEPOSIT', 'WITHDRAW');

-- CreateEnum
CREATE TYPE "MirrorState" AS ENUM ('STARTING', 'FOLLOWING', 'CATCHING_UP', 'WAITING');

-- CreateEnum
CREATE TYPE "ProposalState" AS ENUM ('DRAFT', 'SIMULATED', 'AWAITING_SIGNATURES', 'READY', 'EXECUTED', 'APPLIED', 'STALE', 'REPLACED', 'EXPIRED', 'CANCELLED');

-- CreateTable
CREATE TABLE "Protocol" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "settlementToken" TEXT NOT NULL,
    "settlementTokenDecimals" INTEGER NOT NULL,
    "marketCount" INTEGER NOT NULL,
    "accountCount" INTEGER NOT NULL,
    "openPositionCount" INTEGER NOT NULL,
    "liquidationCount" INTEGER NOT NULL,
    "updatedAtBlock" BIGINT NOT NULL,
    "updatedAtTimestamp" BIGINT NOT NULL,

    CONSTRAINT "Protocol_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Market" (
    "id" TEXT NOT NULL,
    "protocolId" TEXT NOT NULL,
    "symbol" TEXT NOT NULL,
    "pool" TEXT NOT NULL,
    "poolFeeE6" INTEGER NOT NULL,
    "state" "MarketState" NOT NULL,
    "pausedIndexPriceE18" DECIMAL(78,0),
    "closedPriceE18" DECIMAL(78,0),
    "feedId" TEXT,
    "sqrtPriceX96" DECIMAL(78,0),
    "openInterestLongE18" DECIMAL(78,0) NOT NULL,
    "openInterestShortE18" DECIMAL(78,0) NOT NULL,
    "volumeE18" DECIMAL(78,0) NOT NULL,
    "liquidatedNotionalE18" DECIMAL(78,0) NOT NULL,
    "liquidationCount" INTEGER NOT NULL,
    "feesE18" DECIMAL(78,0) NOT NULL,
    "fundingMarketTwapE18" DECIMAL(78,0),
    "fundingIndexTwapE18" DECIMAL(78,0),
    "fundingUpdatedAtTimestamp" BIGINT,
    "createdAtBlock" BIGINT NOT NULL,
    "createdAtTimestamp" BIGINT NOT NULL,
    "updatedAtBlock" BIGINT NOT NULL,
    "updatedAtTimestamp" BIGINT NOT NULL,

    CONSTRAINT "Market_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "CollateralAsset" (
    "id" TEXT NOT NULL,
    "protocolId" TEXT NOT NULL,
    "symbol" TEXT NOT NULL,
    "decimals" INTEGER NOT NULL,
    "priceFeed" TEXT NOT NULL,
    "feedId" TEXT,
    "totalBalance" DECIMAL(78,0) NOT NULL,
    "updatedAtBlock" BIGINT NOT NULL,
    "updatedAtTimestamp" BIGINT NOT NULL,

    CONSTRAINT "CollateralAsset_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Account" (
    "id" TEXT NOT NULL,
    "protocolId" TEXT NOT NULL,
    "owedRealizedPnlE18" DECIMAL(78,0) NOT NULL,
    "settlementBalance" DECIMAL(78,0) NOT NULL,
    "openPositionCount" INTEGER NOT NULL,
    "openRangeCount" INTEGER NOT NULL,
    "liquidationCount" INTEGER NOT NULL,
    "badDebtE18" DECIMAL(78,0) NOT NULL,
    "createdAtBlock" BIGINT NOT NULL,
    "createdAtTimestamp" BIGINT NOT NULL,
    "updatedAtBlock" BIGINT NOT NULL,
    "updatedAtTimestamp" BIGINT NOT NULL,

    CONSTRAINT "Account_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Position" (
    "id" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "marketId" TEXT NOT NULL,
    "sizeE18" DECIMAL(78,0) NOT NULL,
    "rawSizeE18" DECIMAL(78,0) NOT NULL,
    "openRangeCount" INTEGER NOT NULL,
    "openNotionalE18" DECIMAL(78,0) NOT NULL,
    "realizedPnlE18" DECIMAL(78,0) NOT NULL,
    "fundingPaidE18" DECIMAL(78,0) NOT NULL,
    "fundingSettledAtTimestamp" BIGINT,
    "createdAtBlock" BIGINT NOT NULL,
    "createdAtTimestamp" BIGINT NOT NULL,
    "updatedAtBlock" BIGINT NOT NULL,
    "updatedAtTimestamp" BIGINT NOT NULL,

    CONSTRAINT "Position_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "CollateralBalance" (
    "id" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "assetId" TEXT NOT NULL,
    "amount" DECIMAL(78,0) NOT NULL,
    "updatedAtBlock" BIGINT NOT NULL,
    "updatedAtTimestamp" BIGINT NOT NULL,

    CONSTRAINT "CollateralBalance_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "LiquidityRange" (
    "id" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "marketId" TEXT NOT NULL,
    "lowerTick" INTEGER NOT NULL,
    "upperTick" INTEGER NOT NULL,
    "liquidity" DECIMAL(78,0) NOT NULL,
    "baseDebtE18" DECIMAL(78,0) NOT NULL,
    "quoteDebtE18" DECIMAL(78,0) NOT NULL,
    "feesCollectedE18" DECIMAL(78,0) NOT NULL,
    "createdAtBlock" BIGINT NOT NULL,
    "createdAtTimestamp" BIGINT NOT NULL,
    "updatedAtBlock" BIGINT NOT NULL,
    "updatedAtTimestamp" BIGINT NOT NULL,

    CONSTRAINT "LiquidityRange_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "InsuranceFund" (
    "id" TEXT NOT NULL,
    "protocolId" TEXT NOT NULL,
    "walletBalance" DECIMAL(78,0) NOT NULL,
    "vaultBalanceE18" DECIMAL(78,0) NOT NULL,
    "inTransit" DECIMAL(78,0) NOT NULL,
    "inflowE18" DECIMAL(78,0) NOT NULL,
    "outflowE18" DECIMAL(78,0) NOT NULL,
    "badDebtE18" DECIMAL(78,0) NOT NULL,
    "updatedAtBlock" BIGINT NOT NULL,
    "updatedAtTimestamp" BIGINT NOT NULL,

    CONSTRAINT "InsuranceFund_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Parameter" (
    "id" TEXT NOT NULL,
    "protocolId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "scope" "Scope" NOT NULL,
    "subject" TEXT NOT NULL,
    "contract" TEXT NOT NULL,
    "value" DECIMAL(78,0) NOT NULL,
    "source" "ValueSource" NOT NULL,
    "changeCount" INTEGER NOT NULL,
    "updatedAtBlock" BIGINT NOT NULL,
    "updatedAtTimestamp" BIGINT NOT NULL,

    CONSTRAINT "Parameter_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "OracleFeed" (
    "id" TEXT NOT NULL,
    "dispatcher" TEXT NOT NULL,
    "priceE18" DECIMAL(78,0),
    "priceTimestamp" BIGINT,
    "freezeReason" INTEGER NOT NULL,
    "fallback" BOOLEAN NOT NULL,
    "updateCount" INTEGER NOT NULL,
    "updatedAtBlock" BIGINT NOT NULL,
    "updatedAtTimestamp" BIGINT NOT NULL,

    CONSTRAINT "OracleFeed_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "PositionChange" (
    "id" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "marketId" TEXT NOT NULL,
    "sizeDeltaE18" DECIMAL(78,0) NOT NULL,
    "notionalDeltaE18" DECIMAL(78,0) NOT NULL,
    "feeE18" DECIMAL(78,0) NOT NULL,
    "sizeAfterE18" DECIMAL(78,0) NOT NULL,
    "openNotionalAfterE18" DECIMAL(78,0) NOT NULL,
    "realizedPnlE18" DECIMAL(78,0) NOT NULL,
    "sqrtPriceAfterX96" DECIMAL(78,0),
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "PositionChange_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Liquidation" (
    "id" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "marketId" TEXT NOT NULL,
    "liquidator" TEXT NOT NULL,
    "sizeE18" DECIMAL(78,0) NOT NULL,
    "notionalE18" DECIMAL(78,0) NOT NULL,
    "penaltyE18" DECIMAL(78,0) NOT NULL,
    "liquidatorFeeE18" DECIMAL(78,0) NOT NULL,
    "sizeAfterE18" DECIMAL(78,0) NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "Liquidation_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "CollateralChange" (
    "id" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "token" TEXT NOT NULL,
    "kind" "CollateralChangeKind" NOT NULL,
    "amount" DECIMAL(78,0) NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "CollateralChange_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "CollateralLiquidation" (
    "id" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "token" TEXT NOT NULL,
    "liquidator" TEXT NOT NULL,
    "amount" DECIMAL(78,0) NOT NULL,
    "repaid" DECIMAL(78,0) NOT NULL,
    "insuranceFundFee" DECIMAL(78,0) NOT NULL,
    "discountRatioE6" INTEGER NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "CollateralLiquidation_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "BadDebt" (
    "id" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "amount" DECIMAL(78,0) NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "BadDebt_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "InsuranceFundFlow" (
    "id" TEXT NOT NULL,
    "fundId" TEXT NOT NULL,
    "kind" "InsuranceFlowKind" NOT NULL,
    "amountE18" DECIMAL(78,0) NOT NULL,
    "counterparty" TEXT,
    "marketId" TEXT,
    "balanceAfterE18" DECIMAL(78,0) NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "InsuranceFundFlow_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "FundingPayment" (
    "id" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "marketId" TEXT NOT NULL,
    "amountE18" DECIMAL(78,0) NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "FundingPayment_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "LiquidityChange" (
    "id" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "marketId" TEXT NOT NULL,
    "lowerTick" INTEGER NOT NULL,
    "upperTick" INTEGER NOT NULL,
    "liquidityDelta" DECIMAL(78,0) NOT NULL,
    "baseDeltaE18" DECIMAL(78,0) NOT NULL,
    "quoteDeltaE18" DECIMAL(78,0) NOT NULL,
    "feeE18" DECIMAL(78,0) NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "LiquidityChange_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "PriceUpdate" (
    "id" TEXT NOT NULL,
    "feedId" TEXT NOT NULL,
    "priceE18" DECIMAL(78,0) NOT NULL,
    "priceTimestamp" BIGINT NOT NULL,
    "freezeReason" INTEGER NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "PriceUpdate_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ParameterChange" (
    "id" TEXT NOT NULL,
    "parameterId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "scope" "Scope" NOT NULL,
    "subject" TEXT NOT NULL,
    "contract" TEXT NOT NULL,
    "oldValue" DECIMAL(78,0),
    "newValue" DECIMAL(78,0) NOT NULL,
    "sender" TEXT NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "ParameterChange_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "MarketStatusChange" (
    "id" TEXT NOT NULL,
    "marketId" TEXT NOT NULL,
    "oldState" "MarketState" NOT NULL,
    "newState" "MarketState" NOT NULL,
    "sender" TEXT NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "transactionHash" TEXT NOT NULL,
    "logIndex" INTEGER NOT NULL,

    CONSTRAINT "MarketStatusChange_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Checkpoint" (
    "blockNumber" BIGINT NOT NULL,
    "blockHash" TEXT NOT NULL,
    "blockTimestamp" BIGINT NOT NULL,
    "rowCount" INTEGER NOT NULL,
    "steppedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Checkpoint_pkey" PRIMARY KEY ("blockNumber")
);

-- CreateTable
CREATE TABLE "UndoLog" (
    "blockNumber" BIGINT NOT NULL,
    "entity" TEXT NOT NULL,
    "rowId" TEXT NOT NULL,
    "previous" JSONB,

    CONSTRAINT "UndoLog_pkey" PRIMARY KEY ("blockNumber","entity","rowId")
);

-- CreateTable
CREATE TABLE "MirrorStatus" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "state" "MirrorState" NOT NULL DEFAULT 'STARTING',
    "deployment" TEXT,
    "indexedBlock" BIGINT,
    "indexedHash" TEXT,
    "indexedTimestamp" BIGINT,
    "graphNodeBlock" BIGINT,
    "chainBlock" BIGINT,
    "chainTimestamp" BIGINT,
    "lastStepAt" TIMESTAMPTZ(3),
    "reorgCount" INTEGER NOT NULL DEFAULT 0,
    "lastReorgDepth" BIGINT,
    "lastReorgAt" TIMESTAMPTZ(3),
    "error" TEXT,
    "errorPart" TEXT,
    "errorSince" TIMESTAMPTZ(3),
    "lastError" TEXT,
    "lastErrorAt" TIMESTAMPTZ(3),
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "MirrorStatus_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Proposal" (
    "id" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "state" "ProposalState" NOT NULL,
    "stateReason" TEXT,
    "network" TEXT NOT NULL,
    "chainId" INTEGER NOT NULL,
    "safe" TEXT NOT NULL,
    "threshold" INTEGER NOT NULL,
    "nonce" INTEGER NOT NULL,
    "changes" JSONB NOT NULL,
    "calls" JSONB NOT NULL,
    "safeTx" JSONB NOT NULL,
    "safeTxHash" TEXT NOT NULL,
    "domainHash" TEXT NOT NULL,
    "messageHash" TEXT NOT NULL,
    "draftedAtBlock" BIGINT NOT NULL,
    "draftedAtBlockHash" TEXT NOT NULL,
    "draftedAtTimestamp" BIGINT NOT NULL,
    "validUntil" BIGINT NOT NULL,
    "simulation" JSONB,
    "recommendationIds" TEXT[],
    "executionTxHash" TEXT,
    "executedAtBlock" BIGINT,
    "appliedAtBlock" BIGINT,
    "nonceUsedAtBlock" BIGINT,

    CONSTRAINT "Proposal_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ProposalSignature" (
    "proposalId" TEXT NOT NULL,
    "signer" TEXT NOT NULL,
    "signature" TEXT NOT NULL,
    "addedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "ProposalSignature_pkey" PRIMARY KEY ("proposalId","signer")
);

-- CreateTable
CREATE TABLE "ProposalEvent" (
    "id" BIGSERIAL NOT NULL,
    "proposalId" TEXT NOT NULL,
    "at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "fromState" "ProposalState",
    "toState" "ProposalState" NOT NULL,
    "note" TEXT NOT NULL,

    CONSTRAINT "ProposalEvent_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "RecommendationRun" (
    "id" TEXT NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "blockHash" TEXT NOT NULL,
    "blockTimestamp" BIGINT NOT NULL,
    "inputsDigest" TEXT NOT NULL,
    "codeVersion" TEXT NOT NULL,

    CONSTRAINT "RecommendationRun_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Recommendation" (
    "id" TEXT NOT NULL,
    "runId" TEXT NOT NULL,
    "parameter" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "subjectLabel" TEXT NOT NULL,
    "current" DECIMAL(78,0) NOT NULL,
    "recommended" DECIMAL(78,0) NOT NULL,
    "modelValue" DOUBLE PRECISION NOT NULL,
    "direction" TEXT NOT NULL,
    "urgency" INTEGER NOT NULL,
    "confidence" DOUBLE PRECISION NOT NULL,
    "reason" TEXT NOT NULL,
    "evidence" JSONB NOT NULL,
    "adjustments" JSONB NOT NULL,
    "model" TEXT NOT NULL,
    "modelVersion" TEXT NOT NULL,
    "inputsDigest" TEXT NOT NULL,
    "inputs" JSONB NOT NULL,
    "settable" BOOLEAN NOT NULL,
    "advisory" TEXT,

    CONSTRAINT "Recommendation_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "Market_protocolId_idx" ON "Market"("protocolId");

-- CreateIndex
CREATE INDEX "Market_feedId_idx" ON "Market"("feedId");

-- CreateIndex
CREATE INDEX "CollateralAsset_protocolId_idx" ON "CollateralAsset"("protocolId");

-- CreateIndex
CREATE INDEX "CollateralAsset_feedId_idx" ON "CollateralAsset"("feedId");

-- CreateIndex
CREATE INDEX "Account_protocolId_idx" ON "Account"("protocolId");

-- CreateIndex
CREATE INDEX "Position_accountId_idx" ON "Position"("accountId");

-- CreateIndex
CREATE INDEX "Position_marketId_idx" ON "Position"("marketId");

-- CreateIndex
CREATE INDEX "CollateralBalance_accountId_idx" ON "CollateralBalance"("accountId");

-- CreateIndex
CREATE INDEX "CollateralBalance_assetId_idx" ON "CollateralBalance"("assetId");

-- CreateIndex
CREATE INDEX "LiquidityRange_accountId_idx" ON "LiquidityRange"("accountId");

-- CreateIndex
CREATE INDEX "LiquidityRange_marketId_idx" ON "LiquidityRange"("marketId");

-- CreateIndex
CREATE INDEX "InsuranceFund_protocolId_idx" ON "InsuranceFund"("protocolId");

-- CreateIndex
CREATE INDEX "Parameter_protocolId_idx" ON "Parameter"("protocolId");

-- CreateIndex
CREATE INDEX "Parameter_name_subject_idx" ON "Parameter"("name", "subject");

-- CreateIndex
CREATE INDEX "PositionChange_accountId_blockNumber_logIndex_idx" ON "PositionChange"("accountId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "PositionChange_marketId_blockNumber_logIndex_idx" ON "PositionChange"("marketId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "PositionChange_blockNumber_logIndex_idx" ON "PositionChange"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "Liquidation_accountId_blockNumber_logIndex_idx" ON "Liquidation"("accountId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "Liquidation_marketId_blockNumber_logIndex_idx" ON "Liquidation"("marketId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "Liquidation_blockNumber_logIndex_idx" ON "Liquidation"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "CollateralChange_accountId_blockNumber_logIndex_idx" ON "CollateralChange"("accountId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "CollateralChange_blockNumber_logIndex_idx" ON "CollateralChange"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "CollateralLiquidation_accountId_blockNumber_logIndex_idx" ON "CollateralLiquidation"("accountId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "CollateralLiquidation_blockNumber_logIndex_idx" ON "CollateralLiquidation"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "BadDebt_accountId_blockNumber_logIndex_idx" ON "BadDebt"("accountId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "BadDebt_blockNumber_logIndex_idx" ON "BadDebt"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "InsuranceFundFlow_fundId_blockNumber_logIndex_idx" ON "InsuranceFundFlow"("fundId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "InsuranceFundFlow_marketId_blockNumber_logIndex_idx" ON "InsuranceFundFlow"("marketId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "InsuranceFundFlow_blockNumber_logIndex_idx" ON "InsuranceFundFlow"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "FundingPayment_accountId_blockNumber_logIndex_idx" ON "FundingPayment"("accountId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "FundingPayment_marketId_blockNumber_logIndex_idx" ON "FundingPayment"("marketId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "FundingPayment_blockNumber_logIndex_idx" ON "FundingPayment"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "LiquidityChange_accountId_blockNumber_logIndex_idx" ON "LiquidityChange"("accountId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "LiquidityChange_marketId_blockNumber_logIndex_idx" ON "LiquidityChange"("marketId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "LiquidityChange_blockNumber_logIndex_idx" ON "LiquidityChange"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "PriceUpdate_feedId_blockNumber_logIndex_idx" ON "PriceUpdate"("feedId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "PriceUpdate_blockNumber_logIndex_idx" ON "PriceUpdate"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "ParameterChange_parameterId_blockNumber_logIndex_idx" ON "ParameterChange"("parameterId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "ParameterChange_blockNumber_logIndex_idx" ON "ParameterChange"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "ParameterChange_name_subject_idx" ON "ParameterChange"("name", "subject");

-- CreateIndex
CREATE INDEX "MarketStatusChange_marketId_blockNumber_logIndex_idx" ON "MarketStatusChange"("marketId", "blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "MarketStatusChange_blockNumber_logIndex_idx" ON "MarketStatusChange"("blockNumber", "logIndex");

-- CreateIndex
CREATE INDEX "Proposal_state_idx" ON "Proposal"("state");

-- CreateIndex
CREATE INDEX "Proposal_safeTxHash_idx" ON "Proposal"("safeTxHash");

-- CreateIndex
CREATE INDEX "ProposalEvent_proposalId_idx" ON "ProposalEvent"("proposalId");

-- CreateIndex
CREATE INDEX "RecommendationRun_blockNumber_idx" ON "RecommendationRun"("blockNumber");

-- CreateIndex
CREATE INDEX "Recommendation_runId_idx" ON "Recommendation"("runId");

-- CreateIndex
CREATE INDEX "Recommendation_parameter_subject_idx" ON "Recommendation"("parameter", "subject");
