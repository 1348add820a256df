import type { CodegenConfig } from '@graphql-codegen/cli'

/** What a client's queries are answered by, as JSON carries it. */
const operations = {
  plugins: ['typescript-operations'],
  config: {
    useTypeImports: true,
    enumsAsTypes: true,
    skipTypename: true,
    strictScalars: true,
    scalars: { BigInt: 'string', Address: 'string', Hex: 'string', JSON: 'unknown' },
  },
}

/** Types out of schema.graphql: the API's resolvers, and the queries of the console and the command line. At run time nothing of it is left but the console's queries, as text. */
const config: CodegenConfig = {
  schema: 'schema.graphql',
  silent: true,
  generates: {
    'api/graphql/generated/resolvers.ts': {
      plugins: ['typescript', 'typescript-resolvers'],
      config: {
        useTypeImports: true,
        importExtension: '.ts',
        emitLegacyCommonJSImports: false,
        strictScalars: true,
        enumsAsTypes: true,
        skipTypename: true,
        avoidOptionals: { field: true, inputValue: false, object: false, defaultValue: false },
        contextType: '../context.ts#Context',
        scalars: {
          BigInt: 'bigint',
          Address: 'string',
          Hex: 'string',
          JSON: 'unknown',
        },
        mappers: {
          Amount: '../model.ts#AmountNode',
          Protocol: '../model.ts#ProtocolNode',
          Market: '../model.ts#MarketNode',
          CollateralAsset: '../model.ts#CollateralAssetNode',
          Account: '../model.ts#AccountNode',
          AccountTable: '../accounts.ts#AccountTableNode',
          AccountRow: '../lists.ts#AccountRowNode',
          CollateralBalance: '../model.ts#CollateralBalanceNode',
          Position: '../model.ts#PositionNode',
          LiquidityRange: '../model.ts#LiquidityRangeNode',
          Liquidation: '../model.ts#LiquidationNode',
          CollateralLiquidation: '../model.ts#CollateralLiquidationNode',
          InsuranceFund: '../model.ts#InsuranceFundNode',
          InsuranceFundFlow: '../model.ts#InsuranceFundFlowNode',
          Parameter: '../model.ts#ParameterNode',
          ParameterChange: '../model.ts#ParameterChangeNode',
          OracleFeed: '../model.ts#OracleFeedNode',
          PriceUpdate: '../model.ts#PriceUpdateNode',
          OracleSourceChange: '../model.ts#OracleSourceChangeNode',
          Contract: '../model.ts#ContractNode',
          ContractUpgrade: '../model.ts#ContractUpgradeNode',
          OwnershipChange: '../model.ts#OwnershipChangeNode',
          GovernanceEvent: '../model.ts#GovernanceEventNode',
          MarketStats: '../model.ts#MarketStatsNode',
          PriceStats: '../model.ts#PriceStatsNode',
          FundStats: '../model.ts#FundStatsNode',
          Recommendation: '../model.ts#RecommendationNode',
          Proposal: '../model.ts#ProposalNode',
          Safe: '../model.ts#SafeNode',
          Breaker: '../model.ts#BreakerNode',
          RiskRun: '../model.ts#RiskRunNode',
        },
      },
    },
    'console/generated/operations.ts': {
      documents: 'console/**/*.graphql',
      plugins: ['typescript-operations', 'typed-document-node'],
      // Each operation is its text with the types of its variables and its answer.
      config: { ...operations.config, documentMode: 'string' },
    },
    'cli/generated/analysis.ts': { documents: 'cli/analysis/*.graphql', ...operations },
    'cli/generated/proposals.ts': { documents: 'cli/proposals/*.graphql', ...operations },
  },
}

export default config
