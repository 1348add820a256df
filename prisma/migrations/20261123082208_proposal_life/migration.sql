-- AlterEnum
-- This migration adds more than one value to an enum.
-- With PostgreSQL versions 11 and earlier, this is not possible
-- in a single migration. This can be worked around by creating
-- multiple migrations, each migration adding only one value to
-- the enum.


ALTER TYPE "ProposalState" ADD VALUE 'QUEUED';
ALTER TYPE "ProposalState" ADD VALUE 'WITHDRAWN';
ALTER TYPE "ProposalState" ADD VALUE 'CANCELLING';

-- AlterTable
ALTER TABLE "Proposal" ADD COLUMN     "aftermath" JSONB,
ADD COLUMN     "cancellation" JSONB,
ADD COLUMN     "draftedBy" TEXT,
ADD COLUMN     "evidence" JSONB NOT NULL DEFAULT '[]',
ADD COLUMN     "findings" JSONB NOT NULL DEFAULT '[]',
ADD COLUMN     "impact" JSONB,
ADD COLUMN     "playbook" TEXT,
ADD COLUMN     "readyAtSec" BIGINT,
ADD COLUMN     "scheduledAtBlock" BIGINT,
ADD COLUMN     "scheduledTxHash" TEXT;

-- AlterTable
ALTER TABLE "ProposalSignature" DROP CONSTRAINT "ProposalSignature_pkey",
ADD COLUMN     "kind" TEXT NOT NULL DEFAULT 'CHANGE',
ADD CONSTRAINT "ProposalSignature_pkey" PRIMARY KEY ("proposalId", "kind", "signer");
