// eth_feeHistory: a count as hex, as a number, as a decimal string; percentiles; what is cut and what is refused.
>> {"jsonrpc":"2.0","id":1,"method":"eth_feeHistory","params":["0x2","latest",[]]}
<< {"jsonrpc":"2.0","id":1,"result":{"oldestBlock":"0x2","baseFeePerGas":["0x7","0x7","0x7"],"gasUsedRatio":[0.0017501666666666666,0],"baseFeePerBlobGas":["0x1","0x1","0x1"],"blobGasUsedRatio":[0,0]}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_feeHistory","params":[3,"latest",[0,50,100]]}
<< {"jsonrpc":"2.0","id":1,"result":{"oldestBlock":"0x1","reward":[["0x0","0x1","0x2"],["0x0","0x1","0x2"],["0x0","0x0","0x0"]],"baseFeePerGas":["0x7","0x7","0x7","0x7"],"gasUsedRatio":[0.0017501666666666666,0.0017501666666666666,0],"baseFeePerBlobGas":["0x1","0x1","0x1","0x1"],"blobGasUsedRatio":[0,0,0]}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_feeHistory","params":["4","pending",[25.5]]}
<< {"jsonrpc":"2.0","id":1,"result":{"oldestBlock":"0x0","reward":[["0x0"],["0x1"],["0x1"],["0x0"]],"baseFeePerGas":["0x7","0x7","0x7","0x7","0x7"],"gasUsedRatio":[0,0.0017501666666666666,0.0017501666666666666,0],"baseFeePerBlobGas":["0x1","0x1","0x1","0x1","0x1"],"blobGasUsedRatio":[0,0,0,0]}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_feeHistory","params":["0xffffffff","0x1",[]]}
<< {"jsonrpc":"2.0","id":1,"result":{"oldestBlock":"0x0","baseFeePerGas":["0x7","0x7","0x7"],"gasUsedRatio":[0,0.0017501666666666666],"baseFeePerBlobGas":["0x1","0x1","0x1"],"blobGasUsedRatio":[0,0]}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_feeHistory","params":["0x0","latest",[]]}
<< {"jsonrpc":"2.0","id":1,"result":{"oldestBlock":"0x0","gasUsedRatio":null}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_feeHistory","params":["0x1","0x63",[]]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"request beyond head block: requested 99, head 3"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_feeHistory","params":["0x1","latest",[50,50]]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid reward percentile: 50, want ascending values of 0 to 100"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_feeHistory","params":["0x1","latest",[101]]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid reward percentile: 101, want ascending values of 0 to 100"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_feeHistory","params":["0x1","latest",[-1]]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid reward percentile: -1, want ascending values of 0 to 100"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_feeHistory","params":["-1","latest",[]]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: \"-1\" is no unsigned number"}}
