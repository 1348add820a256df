-- CreateTable
CREATE TABLE "BreakerBoard" (
    "blockNumber" BIGINT NOT NULL,
    "blockHash" TEXT NOT NULL,
    "blockTimestamp" BIGINT NOT NULL,
    "board" JSONB NOT NULL,
    "observation" JSONB NOT NULL,

    CONSTRAINT "BreakerBoard_pkey" PRIMARY KEY ("blockNumber")
);

-- CreateTable
CREATE TABLE "BreakerChange" (
    "id" TEXT NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "blockHash" TEXT NOT NULL,
    "blockTimestamp" BIGINT NOT NULL,
    "subject" TEXT NOT NULL,
    "subjectLabel" TEXT NOT NULL,
    "fromLevel" TEXT NOT NULL,
    "toLevel" TEXT NOT NULL,
    "why" TEXT NOT NULL,
    "reasons" JSONB NOT NULL,
    "resetBy" TEXT,
    "sequence" SERIAL NOT NULL,

    CONSTRAINT "BreakerChange_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "RiskRun" (
    "id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "arguments" JSONB NOT NULL,
    "blockNumber" BIGINT NOT NULL,
    "blockHash" TEXT NOT NULL,
    "blockTimestamp" BIGINT NOT NULL,
    "inputsDigest" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "progress" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "result" JSONB,
    "errorCode" TEXT,
    "error" TEXT,
    "startedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finishedAt" TIMESTAMPTZ(3),

    CONSTRAINT "RiskRun_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "WebhookDelivery" (
    "id" TEXT NOT NULL,
    "url" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "eventKey" TEXT NOT NULL,
    "body" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "nextAttemptAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deliveredAt" TIMESTAMPTZ(3),
    "givenUpAt" TIMESTAMPTZ(3),
    "lastError" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "WebhookDelivery_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "BreakerChange_sequence_key" ON "BreakerChange"("sequence");

-- CreateIndex
CREATE INDEX "BreakerChange_subject_blockNumber_idx" ON "BreakerChange"("subject", "blockNumber");

-- CreateIndex
CREATE INDEX "RiskRun_key_idx" ON "RiskRun"("key");

-- CreateIndex
CREATE INDEX "RiskRun_kind_state_blockNumber_idx" ON "RiskRun"("kind", "state", "blockNumber");

-- CreateIndex
CREATE INDEX "WebhookDelivery_deliveredAt_givenUpAt_nextAttemptAt_idx" ON "WebhookDelivery"("deliveredAt", "givenUpAt", "nextAttemptAt");

-- CreateIndex
CREATE UNIQUE INDEX "WebhookDelivery_url_eventKey_key" ON "WebhookDelivery"("url", "eventKey");
