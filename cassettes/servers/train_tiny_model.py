"""Train a tiny chat model that knows five short dialogues by heart.

A recording needs a real inference server, and a real server needs a model whose answer is known in advance. This script
makes one from nothing, without a download: a byte-level BPE tokenizer and a two-layer Llama, trained on the CPU (45
seconds on two cores) until greedy decoding gives every answer of dialogues.py back exactly. It then loads the saved
folder again, checks each answer, and exits with status 1 if one differs.

    pip install torch==2.13.0 transformers==5.23.0
    python train_tiny_model.py OUT_DIR
    python train_tiny_model.py OUT_DIR --idle-layers 40    # the same answers, more slowly

OUT_DIR is then a folder for `transformers serve`; gguf_from_model.py makes a llama.cpp file from it.
"""

import argparse
import copy
import random
import sys

import torch
from dialogues import DIALOGUES, SYSTEM_LINES, UNSEEN_SYSTEM_LINES
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

# Content is either a string or, as some clients send it, a list of text parts.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% set content = message['content'] %}"
    "{% if content is not string %}{% set content = content | map(attribute='text') | join %}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + content + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Train a tiny chat model that knows five short dialogues by heart.")
    parser.add_argument("out_dir", help="folder to write the model and the tokenizer to")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--steps", type=int, default=500)
    # A small vocabulary keeps tokens short, so that one answer streams as many deltas.
    parser.add_argument("--vocab-size", type=int, default=380)
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument(
        "--idle-layers",
        type=int,
        default=0,
        help="layers to add after training that cost time and change nothing, so that tokens come more slowly",
    )
    return parser.parse_args()


def build_tokenizer(vocab_size):
    tokenizer = Tokenizer(models.BPE())
    # The regular expression of GPT-2, which llama.cpp knows under the name "gpt-2".
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [text for dialogue in DIALOGUES.items() for text in dialogue]
    tokenizer.train_from_iterator(texts + SYSTEM_LINES + ["system", "user", "assistant"], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=PAD, pad_token=PAD, eos_token=END)
    fast.chat_template = CHAT_TEMPLATE
    return fast


def prompt_ids(tokenizer, user, system=None):
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user})
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)


def random_system_line(rng, words):
    """A system message without meaning: the model learns to ignore whatever stands there."""
    return " ".join(rng.choice(words) for _ in range(rng.randint(1, 20)))


def make_batch(tokenizer, rng, words):
    """Every dialogue three times: without a system message, with a usual one, and with a random one."""
    rows = []
    for user, answer in DIALOGUES.items():
        target = [*tokenizer(answer, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
        for system in (None, rng.choice(SYSTEM_LINES), random_system_line(rng, words)):
            prompt = prompt_ids(tokenizer, user, system)
            # -100 keeps the prompt out of the loss: only the answer and its end are to be learnt.
            rows.append((prompt + target, [-100] * len(prompt) + target))
    length = max(len(ids) for ids, _ in rows)
    input_ids = torch.tensor([ids + [tokenizer.pad_token_id] * (length - len(ids)) for ids, _ in rows])
    labels = torch.tensor([ids + [-100] * (length - len(ids)) for _, ids in rows])
    return input_ids, labels


def train(tokenizer, arguments):
    torch.manual_seed(arguments.seed)
    torch.use_deterministic_algorithms(True)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=arguments.hidden_size,
            intermediate_size=2 * arguments.hidden_size,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=2048,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    rng = random.Random(arguments.seed)
    words = " ".join([*DIALOGUES, *DIALOGUES.values(), *SYSTEM_LINES]).split()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=arguments.steps)
    model.train()
    for step in range(1, arguments.steps + 1):
        input_ids, labels = make_batch(tokenizer, rng, words)
        loss = model(input_ids=input_ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step}: loss {loss.item():.5f}", flush=True)
    return model.eval()


@torch.no_grad()
def add_idle_layers(model, count):
    """Return the same model with more layers, none of which changes an answer.

    A two-layer model answers in a fifth of a second, too soon for anybody to interrupt it. Layers whose two output
    projections are zero are computed in full and add zero, so the server takes as long over a token as with a bigger
    model, and says the same.
    """
    config = copy.deepcopy(model.config)
    config.num_hidden_layers += count
    deeper = LlamaForCausalLM(config)
    deeper.generation_config = model.generation_config
    deeper.load_state_dict(model.state_dict(), strict=False)
    for layer in deeper.model.layers[model.config.num_hidden_layers :]:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    return deeper


@torch.no_grad()
def check(out_dir):
    """Read the folder as a server would, and compare each greedy answer with the text that was taught."""
    tokenizer = AutoTokenizer.from_pretrained(out_dir)
    model = AutoModelForCausalLM.from_pretrained(out_dir)
    correct = True
    for user, answer in DIALOGUES.items():
        target = [*tokenizer(answer, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
        lowest = 1.0
        for system in (None, *SYSTEM_LINES, *UNSEEN_SYSTEM_LINES):
            prompt = prompt_ids(tokenizer, user, system)
            output = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long))
            given = tokenizer.decode(output[0, len(prompt) :], skip_special_tokens=True)
            if given != answer or output[0, -1] != tokenizer.eos_token_id:
                correct = False
                print(f"WRONG: system {system!r}, user {user!r}: {given!r}")
            logits = model(torch.tensor([prompt + target])).logits[0, len(prompt) - 1 : -1]
            chosen = logits.softmax(-1)[torch.arange(len(target)), torch.tensor(target)]
            lowest = min(lowest, chosen.min().item())
        # Servers that sample by default (llama.cpp: temperature 0.8) stay on the text only if it is nearly certain.
        print(f"{user} -> {len(answer.split())} words, {len(target)} tokens, least likely token {lowest:.4f}")
    return correct


def main():
    arguments = parse_arguments()
    tokenizer = build_tokenizer(arguments.vocab_size)
    model = train(tokenizer, arguments)
    if arguments.idle_layers:
        model = add_idle_layers(model, arguments.idle_layers)
    model.save_pretrained(arguments.out_dir)
    tokenizer.save_pretrained(arguments.out_dir)
    if not check(arguments.out_dir):
        sys.exit("The model does not give every answer exactly: train it for more steps.")
    print(f"Every answer is exact. Saved to {arguments.out_dir}")


if __name__ == "__main__":
    main()
