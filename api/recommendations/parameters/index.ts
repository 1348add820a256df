/** Every model: importing its file registers it. A new model is a new file and a line here. */
import './collateral-ratio.ts'
import './distribution-threshold.ts'
import './initial-margin.ts'
import './insurance-fund-fee.ts'
import './liquidation-penalty.ts'
import './maintenance-margin.ts'
import './price-band.ts'
import './tick-cap.ts'
