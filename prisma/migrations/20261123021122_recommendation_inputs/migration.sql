-- AlterTable
ALTER TABLE "Recommendation" ALTER COLUMN "modelValue" DROP NOT NULL;

-- AlterTable
ALTER TABLE "RecommendationRun" ADD COLUMN     "inputs" JSONB NOT NULL;
