/**
 * Which variable of the deployed contracts a storage slot holds (v2.6.0 behind its proxies), and what they emit. Labels and
 * slots are those of the Solidity compiler's own storage layout; a test sets every parameter and compares what was written.
 */
import { parseAbi, type Abi } from 'viem'
import type { Address, Deployment } from '../adapter.ts'
import type { ContractView, StorageEntry, StorageKey, StorageVariable } from '../onchain.ts'

const KINDS: readonly (readonly [RegExp, (digits: number) => { kind: StorageVariable['kind']; bytes: number }])[] = [
  [/^uint(\d+)$/, (bits) => ({ kind: 'uint', bytes: bits / 8 })],
  [/^int(\d+)$/, (bits) => ({ kind: 'int', bytes: bits / 8 })],
  [/^bytes(\d+)$/, (bytes) => ({ kind: 'bytes', bytes })],
  [/^bool$/, () => ({ kind: 'bool', bytes: 1 })],
  [/^address$/, () => ({ kind: 'address', bytes: 20 })],
]

/** `type label` or `type label = parameter`, packed from the right in this order. */
function word(...declared: readonly string[]): readonly StorageVariable[] {
  let offset = 0
  return declared.map((text) => {
    const [type = '', label = '', , parameter = null] = text.split(' ')
    for (const [pattern, of] of KINDS) {
      const found = pattern.exec(type)
      if (found === null) continue
      const { kind, bytes } = of(Number(found[1] ?? 0))
      const variable = { label, kind, bytes, offset, parameter }
      offset += bytes
      return variable
    }
    throw new TypeError(`no storage type ${type}`)
  })
}

const at = (slot: number, ...declared: readonly string[]): StorageEntry => ({ slot: BigInt(slot), keys: [], words: [word(...declared)] })
const map = (slot: number, keys: readonly StorageKey[], ...words: readonly (readonly StorageVariable[])[]): StorageEntry => ({ slot: BigInt(slot), keys, words })

const INITIALIZABLE = at(0, 'bool _initialized', 'bool _initializing')
/** SafeOwnable: after Initializable and ContextUpgradeable, or after ReentrancyGuardUpgradeable as well. */
const ownable = (slot: number): readonly StorageEntry[] => [at(slot, 'address _owner'), at(slot + 1, 'address _candidate')]
const GUARDED: readonly StorageEntry[] = [INITIALIZABLE, at(1, 'uint256 _status'), ...ownable(101)]
const PLAIN: readonly StorageEntry[] = [INITIALIZABLE, ...ownable(51)]
/** Virtual tokens. */
const TOKEN: readonly StorageEntry[] = [...PLAIN, map(103, ['ACCOUNT'], word('uint256 _balances')), at(105, 'uint256 _totalSupply'), at(108, 'uint8 _decimals'), map(153, ['ACCOUNT'], word('bool _whitelistMap'))]

const STORAGE = {
  clearingHouse: [
    ...GUARDED,
    at(153, 'bool _paused = clearingHousePaused'),
    at(253, 'address _trustedForwarder'),
    at(304, 'address _quoteToken'),
    at(305, 'address _uniswapV3Factory', 'uint8 _settlementTokenDecimals'),
    ...['_clearingHouseConfig', '_vault', '_exchange', '_orderBook', '_accountBalance', '_insuranceFund', '_delegateApproval'].map((label, i) => at(306 + i, `address ${label}`)),
  ],
  clearingHouseConfig: [
    ...PLAIN,
    at(103, 'uint8 _maxMarketsPerAccount = maxMarketsPerAccount', 'uint24 _imRatio = imRatio', 'uint24 _mmRatio = mmRatio', 'uint24 _liquidationPenaltyRatio = liquidationPenaltyRatio', 'uint24 _partialCloseRatio = partialCloseRatio', 'uint24 _maxFundingRate = maxFundingRate', 'uint32 _twapInterval = twapInterval'),
    at(104, 'uint256 _settlementTokenBalanceCap = settlementTokenBalanceCap'),
    map(105, ['ACCOUNT'], word('bool _backstopLiquidityProviderMap')),
    at(106, 'uint32 _markPriceMarketTwapInterval = markPriceMarketTwapInterval', 'uint32 _markPricePremiumInterval = markPricePremiumInterval'),
  ],
  marketRegistry: [
    ...PLAIN,
    at(103, 'address _clearingHouse'),
    at(154, 'address _uniswapV3Factory'),
    at(155, 'address _quoteToken', 'uint8 _maxOrdersPerMarket = maxOrdersPerMarket'),
    map(156, ['MARKET'], word('address _poolMap')),
    map(157, ['MARKET'], word('uint24 _insuranceFundFeeRatioMap = insuranceFundFeeRatio')),
    map(158, ['MARKET'], word('uint24 _exchangeFeeRatioMap = feeRatio')),
    map(159, ['MARKET'], word('uint24 _uniswapFeeRatioMap')),
    map(160, ['MARKET'], word('uint24 _marketMaxPriceSpreadRatioMap = marketMaxPriceSpreadRatio')),
  ],
  exchange: [
    ...PLAIN,
    at(103, 'address _clearingHouse'),
    at(154, 'address _marketRegistry'),
    at(205, 'address _orderBook'),
    at(206, 'address _accountBalance'),
    at(207, 'address _clearingHouseConfig'),
    map(208, ['MARKET'], word('int24 _lastUpdatedTickMap')),
    map(209, ['MARKET'], word('uint256 _firstTradedTimestampMap')),
    map(210, ['MARKET'], word('uint256 _lastSettledTimestampMap')),
    map(211, ['MARKET'], word('int256 _globalFundingGrowthX96Map.twPremiumX96'), word('int256 _globalFundingGrowthX96Map.twPremiumDivBySqrtPriceX96')),
    map(212, ['MARKET'], word('uint24 _maxTickCrossedWithinBlockMap = maxTickCrossedWithinBlock')),
    map(213, ['ACCOUNT', 'MARKET'], word('uint256 _lastOverPriceLimitTimestampMap')),
    map(214, ['MARKET'], word('uint256 _lastTickUpdatedTimestampMap')),
  ],
  orderBook: [...PLAIN, at(103, 'address _clearingHouse'), at(154, 'address _marketRegistry'), at(205, 'address _exchange'), map(209, ['MARKET'], word('uint256 _feeGrowthGlobalX128Map'))],
  accountBalance: [
    ...PLAIN,
    at(103, 'address _clearingHouse'),
    at(154, 'address _clearingHouseConfig'),
    at(155, 'address _orderBook'),
    at(156, 'address _vault'),
    map(157, ['ACCOUNT'], word('int256 _owedRealizedPnlMap')),
    map(158, ['ACCOUNT'], word('uint256 _baseTokensMap.length')),
    map(159, ['ACCOUNT', 'MARKET'], word('int256 _accountMarketMap.takerPositionSize'), word('int256 _accountMarketMap.takerOpenNotional'), word('int256 _accountMarketMap.lastTwPremiumGrowthGlobalX96')),
  ],
  vault: [
    ...GUARDED,
    at(153, 'bool _paused = vaultPaused'),
    at(253, 'address _trustedForwarder'),
    at(304, 'uint8 _decimals', 'address _settlementToken'),
    ...['_clearingHouseConfig', '_accountBalance', '_insuranceFund', '_exchange', '_clearingHouse'].map((label, i) => at(305 + i, `address ${label}`)),
    at(310, 'uint256 _totalDebt'),
    map(311, ['ACCOUNT', 'COLLATERAL'], word('int256 _balance')),
    at(312, 'address _collateralManager'),
    at(313, 'address _WETH9'),
    map(314, ['ACCOUNT'], word('uint256 _collateralTokensMap.length')),
  ],
  insuranceFund: [
    ...GUARDED,
    at(153, 'bool _paused = insuranceFundPaused'),
    at(253, 'address _token'),
    at(254, 'address _vault'),
    at(255, 'address _surplusBeneficiary = surplusBeneficiary'),
    at(256, 'uint256 _distributionThreshold = distributionThreshold'),
  ],
  collateralManager: [
    ...PLAIN,
    at(103, 'bool _paused = collateralManagerPaused'),
    map(203, ['COLLATERAL'], word('address _collateralConfigMap.priceFeed = collateralPriceFeed', 'uint24 _collateralConfigMap.collateralRatio = collateralRatio', 'uint24 _collateralConfigMap.discountRatio = discountRatio'), word('uint256 _collateralConfigMap.depositCap = depositCap')),
    at(204, 'address _clearingHouseConfig'),
    at(205, 'address _vault', 'uint8 _maxCollateralTokensPerAccount = maxCollateralTokensPerAccount', 'uint24 _mmRatioBuffer = mmRatioBuffer', 'uint24 _debtNonSettlementTokenValueRatio = debtNonSettlementTokenValueRatio', 'uint24 _liquidationRatio = liquidationRatio'),
    at(206, 'uint24 _clInsuranceFundFeeRatio = clInsuranceFundFeeRatio'),
    at(207, 'uint256 _debtThreshold = debtThreshold'),
    at(208, 'uint256 _collateralValueDust = collateralValueDust'),
    map(209, ['ACCOUNT'], word('uint256 _whitelistedDebtThresholdMap = whitelistedDebtThreshold')),
    at(210, 'uint256 _totalWhitelistedDebtThreshold = whitelistedDebtThreshold'),
  ],
  quoteToken: TOKEN,
  baseToken: [...TOKEN, at(204, 'uint8 _priceFeedDecimals', 'address _priceFeed = baseTokenPriceFeed', 'uint8 _status = marketStatus'), at(205, 'uint256 _pausedIndexPrice = marketStatus'), at(206, 'uint256 _pausedTimestamp = marketStatus'), at(207, 'uint256 _closedPrice')],
} as const satisfies Record<string, readonly StorageEntry[]>

const OWNED = parseAbi(['event OwnershipTransferred(address indexed previousOwner, address indexed newOwner)'])
const PAUSABLE = parseAbi(['event Paused(address account)', 'event Unpaused(address account)'])
const TRADES = parseAbi([
  'event PositionChanged(address indexed trader, address indexed baseToken, int256 exchangedPositionSize, int256 exchangedPositionNotional, uint256 fee, int256 openNotional, int256 realizedPnl, uint256 sqrtPriceAfterX96)',
  'event FundingPaymentSettled(address indexed trader, address indexed baseToken, int256 fundingPayment)',
  'event TrustedForwarderChanged(address indexed forwarder)',
  'event TrustedForwarderUpdated(address trustedForwarder)',
  'event DelegateApprovalChanged(address indexed delegateApproval)',
])

const EVENTS: Readonly<Record<keyof typeof STORAGE, Abi>> = {
  clearingHouse: [...OWNED, ...PAUSABLE, ...TRADES],
  clearingHouseConfig: [
    ...OWNED,
    ...parseAbi([
      'event LiquidationPenaltyRatioChanged(uint24 liquidationPenaltyRatio)',
      'event PartialCloseRatioChanged(uint24 partialCloseRatio)',
      'event TwapIntervalChanged(uint256 twapInterval)',
      'event MaxMarketsPerAccountChanged(uint8 maxMarketsPerAccount)',
      'event SettlementTokenBalanceCapChanged(uint256 cap)',
      'event MaxFundingRateChanged(uint24 rate)',
      'event MarkPriceMarketTwapIntervalChanged(uint32 twapInterval)',
      'event MarkPricePremiumIntervalChanged(uint32 premiumInterval)',
    ]),
  ],
  marketRegistry: [
    ...OWNED,
    ...parseAbi([
      'event FeeRatioChanged(address baseToken, uint24 feeRatio)',
      'event InsuranceFundFeeRatioChanged(address baseToken, uint24 feeRatio)',
      'event MaxOrdersPerMarketChanged(uint8 maxOrdersPerMarket)',
      'event MarketMaxPriceSpreadRatioChanged(address indexed baseToken, uint24 spreadRatio)',
    ]),
  ],
  exchange: [
    ...OWNED,
    ...parseAbi([
      'event MaxTickCrossedWithinBlockChanged(address indexed baseToken, uint24 maxTickCrossedWithinBlock)',
      'event AccountBalanceChanged(address accountBalance)',
      'event FundingUpdated(address indexed baseToken, uint256 marketTwap, uint256 indexTwap)',
    ]),
  ],
  orderBook: OWNED,
  accountBalance: [...OWNED, ...parseAbi(['event PnlRealized(address indexed trader, int256 amount)', 'event VaultChanged(address indexed vault)'])],
  vault: [...OWNED, ...PAUSABLE, ...parseAbi(['event CollateralManagerChanged(address indexed collateralManager)', 'event ClearingHouseChanged(address indexed clearingHouse)', 'event WETH9Changed(address indexed WETH9)', 'event TrustedForwarderChanged(address indexed trustedForwarder)', 'event TrustedForwarderUpdated(address trustedForwarder)'])],
  insuranceFund: [...OWNED, ...PAUSABLE, ...parseAbi(['event DistributionThresholdChanged(uint256 distributionThreshold)', 'event SurplusBeneficiaryChanged(address surplusBeneficiary)', 'event VaultChanged(address vault)', 'event BorrowerChanged(address borrower)'])],
  collateralManager: [
    ...OWNED,
    ...PAUSABLE,
    ...parseAbi([
      'event PriceFeedChanged(address indexed token, address priceFeed)',
      'event CollateralRatioChanged(address indexed token, uint24 collateralRatio)',
      'event DiscountRatioChanged(address indexed token, uint24 discountRatio)',
      'event DepositCapChanged(address indexed token, uint256 depositCap)',
      'event MaxCollateralTokensPerAccountChanged(uint8 maxCollateralTokensPerAccount)',
      'event MmRatioBufferChanged(uint24 mmRatioBuffer)',
      'event DebtNonSettlementTokenValueRatioChanged(uint24 debtNonSettlementTokenValueRatio)',
      'event LiquidationRatioChanged(uint24 liquidationRatio)',
      'event CLInsuranceFundFeeRatioChanged(uint24 clInsuranceFundFeeRatio)',
      'event DebtThresholdChanged(uint256 debtThreshold)',
      'event WhitelistedDebtThresholdChanged(address trader, uint256 whitelistedDebtThreshold)',
      'event CollateralValueDustChanged(uint256 collateralValueDust)',
      'event CollateralAdded(address indexed token, address priceFeed, uint24 collateralRatio, uint24 discountRatio, uint256 depositCap)',
      'event ClearingHouseConfigChanged(address indexed clearingHouseConfig)',
      'event VaultChanged(address indexed vault)',
    ]),
  ],
  quoteToken: OWNED,
  baseToken: [...OWNED, ...parseAbi(['event PriceFeedChanged(address indexed priceFeed)', 'event StatusUpdated(uint8 indexed status)'])],
}

const view = (name: keyof typeof STORAGE, label: string, address: Address): ContractView => ({ name: label, address: address.toLowerCase() as Address, storage: STORAGE[name], events: EVENTS[name] })

/** The protocol's own contracts. */
export function views(deployment: Deployment): readonly ContractView[] {
  const names = Object.keys(STORAGE) as (keyof typeof STORAGE)[]
  return [
    ...names.flatMap((name) => (name === 'baseToken' ? [] : [view(name, name, deployment.contracts[name])])),
    ...deployment.markets.map((market) => view('baseToken', `baseToken ${market.symbol}`, market.baseToken)),
  ]
}
