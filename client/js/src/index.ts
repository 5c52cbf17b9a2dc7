// Accounts with SM2 keys for viem. See README.md.

import { bytesToHex, hexToBytes } from "viem";
import type { Hash, Hex } from "viem";
import { verify } from "./sm2.js";
import { sm3 } from "./sm3.js";

export { generateSm2PrivateKey, sm2Account, sm2WalletAccount } from "./account.js";
export type { Sm2Account, Sm2WalletAccount } from "./account.js";
export { jialing } from "./chain.js";
export type { JialingOptions, JialingReceipt, JialingTransaction, Sm2ChainTransaction } from "./chain.js";
export { parseSm2Transaction } from "./transaction.js";
export type { Sm2Transaction, Sm2TransactionRequest } from "./transaction.js";

/** SM3 of the data (GB/T 32905): bytes, or 0x and hex. */
export const hashSm3 = (data: Hex | Uint8Array): Hash => bytesToHex(sm3(typeof data === "string" ? hexToBytes(data) : data));

/**
 * Whether an SM2 signature (r ‖ s, 64 bytes) over `hash` is the public key's (64 bytes). `hash` is what sm2Account's `sign` took: hashMessage or
 * hashTypedData of viem for the others. False, not an error, for anything malformed in length or range.
 */
export const verifySm2 = ({ hash, signature, publicKey }: { hash: Hash; signature: Hex; publicKey: Hex }): boolean =>
  verify(hexToBytes(hash), hexToBytes(signature), hexToBytes(publicKey));
