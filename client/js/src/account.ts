// Accounts for viem whose key is one of SM2.

import { bytesToHex, hashMessage, hashTypedData, hexToBytes } from "viem";
import type { Address, Hash, Hex, LocalAccount, SignableMessage, TransactionSerializable, TypedDataDefinition } from "viem";
import { toAccount } from "viem/accounts";
import { generatePrivateKey, publicKeyOf, sign } from "./sm2.js";
import { signSm2Transaction, sm2Address } from "./transaction.js";

/** A viem account with an SM2 key. `publicKey` is X ‖ Y, 64 bytes. */
export type Sm2Account = LocalAccount<"sm2"> & { sign: NonNullable<LocalAccount["sign"]> };

/** A new private key from the platform's randomness. */
export const generateSm2PrivateKey = (): Hex => bytesToHex(generatePrivateKey());

/**
 * The account of an SM2 private key (32 bytes), for a wallet client. It signs transactions of type 0x50, whatever type viem prepares. Messages
 * (EIP-191) and typed data (EIP-712) are hashed as ever, and the 32 bytes of that hash are the message that SM2 signs under the identifier
 * 1234567812345678; the signature is r ‖ s, 64 bytes. Contracts verify it with SM2.verify of Guomi.sol: ecrecover does not know it.
 */
export function sm2Account(privateKey: Hex): Sm2Account {
  // Checked here, because viem's error would show what it could not read.
  if (!/^0x[0-9a-f]{64}$/i.test(privateKey)) throw new Error("an SM2 private key is 0x and 64 hex digits");
  const key = hexToBytes(privateKey);
  const publicKey = publicKeyOf(key); // throws where the key is none
  const signHash = (hash: Hash): Hex => bytesToHex(sign(hexToBytes(hash), key, publicKey));
  const account = toAccount({
    address: sm2Address(publicKey),
    async sign({ hash }) {
      return signHash(hash);
    },
    async signMessage({ message }) {
      return signHash(hashMessage(message));
    },
    async signTransaction(transaction) {
      return signSm2Transaction(requestOf(transaction as TransactionSerializable), key, publicKey);
    },
    async signTypedData(typedData) {
      return signHash(hashTypedData(typedData as TypedDataDefinition));
    },
    async signAuthorization() {
      throw new Error("an EIP-7702 authorization is a signature with secp256k1 by its format: an SM2 account cannot give one");
    },
  });
  return { ...account, publicKey: bytesToHex(publicKey), source: "sm2" } as Sm2Account;
}

/** What viem prepared, as type 0x50. A gas price becomes cap and tip alike, which costs the same. */
function requestOf(tx: TransactionSerializable) {
  const { chainId, nonce, gas, to, value, data, accessList, gasPrice } = tx;
  for (const field of ["authorizationList", "blobs", "blobVersionedHashes", "sidecars"] as const) {
    if (tx[field] !== undefined) throw new Error(`a transaction of type 0x50 has no ${field}`);
  }
  const maxFeePerGas = tx.maxFeePerGas ?? gasPrice;
  const maxPriorityFeePerGas = tx.maxPriorityFeePerGas ?? gasPrice;
  const missing = Object.entries({ chainId, nonce, gas, maxFeePerGas, maxPriorityFeePerGas }).filter(([, x]) => x === undefined);
  if (missing.length > 0) {
    throw new Error(`the transaction lacks ${missing.map(([name]) => name).join(", ")}: send it through a wallet client, or prepare it first`);
  }
  return {
    chainId: chainId!, nonce: nonce!, gas: gas!, maxFeePerGas: maxFeePerGas!, maxPriorityFeePerGas: maxPriorityFeePerGas!, to, value, data, accessList,
  };
}

/** The contract wallet SM2Wallet, as the signer of messages: ERC-1271 callers ask the wallet at `address` whether they are good. */
export type Sm2WalletAccount = LocalAccount<"sm2Wallet"> & {
  /** The signature that SM2Wallet.executeSigned takes. `deadline` is in seconds since 1970. */
  signExecute: (command: { to: Address; value: bigint; data: Hex; nonce: bigint; deadline: bigint }) => Promise<Hex>;
};

/** The SM2Wallet at `address` on a chain, owned by `owner`. A contract sends no transactions: have `signExecute`'s signature presented. */
export function sm2WalletAccount({ owner, address, chainId }: { owner: Sm2Account; address: Address; chainId: number }): Sm2WalletAccount {
  const domain = { name: "SM2Wallet", version: "1", chainId, verifyingContract: address } as const;
  const signHash = (hash: Hash) =>
    owner.signTypedData({ domain, types: { Message: [{ name: "hash", type: "bytes32" }] }, primaryType: "Message", message: { hash } });
  const execute = [
    { name: "to", type: "address" }, { name: "value", type: "uint256" }, { name: "data", type: "bytes" },
    { name: "nonce", type: "uint256" }, { name: "deadline", type: "uint256" },
  ] as const;
  const account = toAccount({
    address,
    sign: ({ hash }) => signHash(hash),
    signMessage: ({ message }: { message: SignableMessage }) => signHash(hashMessage(message)),
    signTypedData: (typedData) => signHash(hashTypedData(typedData as TypedDataDefinition)),
    async signTransaction() {
      throw new Error("a contract wallet sends no transactions: sign a command with signExecute, and let any account call executeSigned");
    },
  });
  return {
    ...account,
    publicKey: owner.publicKey,
    source: "sm2Wallet",
    signExecute: (message) => owner.signTypedData({ domain, types: { Execute: execute }, primaryType: "Execute", message }),
  } as Sm2WalletAccount;
}
