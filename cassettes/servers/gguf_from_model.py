"""Convert the folder that train_tiny_model.py wrote to a GGUF file for llama.cpp.

llama.cpp's own converter identifies a tokenizer by a list of known models, which a tokenizer trained on the spot is not
in. This one knows a single layout (a Llama with a byte-level BPE tokenizer), needs no PyTorch, and keeps 32-bit floats,
so greedy decoding gives the same answers on both sides.

    pip install gguf==0.19.0 numpy safetensors==0.8.0
    python gguf_from_model.py MODEL_DIR OUT.gguf
"""

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

# Names in the checkpoint, and what llama.cpp calls the same tensors.
TENSOR_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
LAYER_TENSOR_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def parse_arguments():
    parser = argparse.ArgumentParser(description="Convert a tiny Llama folder to a GGUF file.")
    parser.add_argument("model_dir", type=Path, help="folder written by train_tiny_model.py")
    parser.add_argument("out_file", type=Path, help="GGUF file to write")
    return parser.parse_args()


def gguf_name(name):
    if name in TENSOR_NAMES:
        return TENSOR_NAMES[name]
    _, _, layer, module = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{LAYER_TENSOR_NAMES[module]}.weight"


def interleave_heads(weight, heads):
    """Reorder the rows of a query or key projection.

    Transformers rotates the first half of a head against its second half, llama.cpp rotates neighbouring pairs. Moving
    the rows makes both compute the same rotary embedding.
    """
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_parameters(writer, config):
    heads = config["num_attention_heads"]
    writer.add_name("tiny")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])


def write_tokenizer(writer, model_dir, config):
    tokenizer = json.loads((model_dir / "tokenizer.json").read_text(encoding="utf-8"))
    special = {token["id"] for token in tokenizer["added_tokens"]}
    tokens = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    if [index for _, index in tokens] != list(range(config["vocab_size"])):
        msg = "The token ids do not fill the vocabulary without a gap."
        raise SystemExit(msg)
    writer.add_tokenizer_model("gpt2")
    # The name of the regular expression that splits text into words before merging: ByteLevel has that of GPT-2.
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for token, _ in tokens])
    # A control token is recognised in a prompt as one token, and is never part of the text of an answer.
    writer.add_token_types(
        [gguf.TokenType.CONTROL if index in special else gguf.TokenType.NORMAL for _, index in tokens]
    )
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    # The model was trained on prompts that begin with the first message.
    writer.add_add_bos_token(False)
    writer.add_chat_template((model_dir / "chat_template.jinja").read_text(encoding="utf-8"))


def write_tensors(writer, model_dir, config):
    for name, weight in load_file(model_dir / "model.safetensors").items():
        if name.endswith("q_proj.weight"):
            weight = interleave_heads(weight, config["num_attention_heads"])
        elif name.endswith("k_proj.weight"):
            weight = interleave_heads(weight, config["num_key_value_heads"])
        writer.add_tensor(gguf_name(name), np.ascontiguousarray(weight, dtype=np.float32))


def main():
    arguments = parse_arguments()
    config = json.loads((arguments.model_dir / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(arguments.out_file, "llama")
    write_parameters(writer, config)
    write_tokenizer(writer, arguments.model_dir, config)
    write_tensors(writer, arguments.model_dir, config)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"Wrote {arguments.out_file}")


if __name__ == "__main__":
    main()
