// Package quantize decides which range of values each activation of a network
// gets when it is stored in eight bits.
//
// Ranges come from pictures (Calibrator), from the statistics that batch norms
// carry (FromBatchNorm), or from an earlier calibration of the same weights
// (Load). How the ranges become scales and zero points is package convert's.
package quantize
