// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

interface IClearingHouse {
    function getAccountValue(address trader) external view returns (int256);
}

interface IAccountBalance {
    function getMarginRequirementForLiquidation(address trader) external view returns (int256);
    function getTakerPositionSize(address trader, address baseToken) external view returns (int256);
    function getMarkPrice(address baseToken) external view returns (uint256);
    function hasOrder(address trader) external view returns (bool);
}

interface IVault {
    function getFreeCollateralByRatio(address trader, uint24 ratio) external view returns (int256);
    function isLiquidatable(address trader) external view returns (bool);
    function getSettlementTokenValue(address trader) external view returns (int256);
    function getBalanceByToken(address trader, address token) external view returns (int256);
    function getFreeCollateralByToken(address trader, address token) external view returns (uint256);
}

interface IPool {
    function slot0() external view returns (uint160, int24, uint16, uint16, uint16, uint8, bool);
}

/// Reads many accounts in one call. Never deployed: the driver lends its code to an address for the time of an eth_call.
contract Lens {
    struct Account {
        int256 accountValue;
        int256 requirement;
        int256 freeCollateral;
        int256 settlementValue;
        int256 collateral;
        uint256 withdrawableSettlement;
        uint256 withdrawableCollateral;
        bool collateralLiquidatable;
        bool hasOrder;
        int256[] sizes;
    }

    function markets(address accountBalance, address[] calldata bases, address[] calldata pools)
        external
        view
        returns (uint256[] memory marks, uint160[] memory sqrtPrices, int24[] memory ticks)
    {
        marks = new uint256[](bases.length);
        sqrtPrices = new uint160[](bases.length);
        ticks = new int24[](bases.length);
        for (uint256 i = 0; i < bases.length; i++) {
            try IAccountBalance(accountBalance).getMarkPrice(bases[i]) returns (uint256 mark) {
                marks[i] = mark;
            } catch {}
            (sqrtPrices[i], ticks[i], , , , , ) = IPool(pools[i]).slot0();
        }
    }

    function accounts(
        address clearingHouse,
        address accountBalance,
        address vault,
        address settlementToken,
        address collateralToken,
        address[] calldata bases,
        address[] calldata traders
    ) external view returns (Account[] memory out) {
        out = new Account[](traders.length);
        for (uint256 i = 0; i < traders.length; i++) {
            Account memory a = out[i];
            a.accountValue = IClearingHouse(clearingHouse).getAccountValue(traders[i]);
            a.requirement = IAccountBalance(accountBalance).getMarginRequirementForLiquidation(traders[i]);
            a.freeCollateral = IVault(vault).getFreeCollateralByRatio(traders[i], 100000);
            a.settlementValue = IVault(vault).getSettlementTokenValue(traders[i]);
            a.collateral = IVault(vault).getBalanceByToken(traders[i], collateralToken);
            a.withdrawableSettlement = IVault(vault).getFreeCollateralByToken(traders[i], settlementToken);
            if (a.collateral > 0) a.withdrawableCollateral = IVault(vault).getFreeCollateralByToken(traders[i], collateralToken);
            a.collateralLiquidatable = IVault(vault).isLiquidatable(traders[i]);
            a.hasOrder = IAccountBalance(accountBalance).hasOrder(traders[i]);
            a.sizes = new int256[](bases.length);
            for (uint256 j = 0; j < bases.length; j++) a.sizes[j] = IAccountBalance(accountBalance).getTakerPositionSize(traders[i], bases[j]);
        }
    }
}
