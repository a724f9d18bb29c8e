"""What is said in the benchmark: the same words at each run, with the Org that a model writes."""

WORDS = ("the of and to in is that for it as was with be by on not he his but at are this have from or had an they "
         "which one you were all her she there would their we him been has when who will no more if out so up said "
         "what its about than into them can only other time new some could these two may first then do any like my "
         "now over such our man me even most made after also did many off before must well back through years where "
         "much your way down should because long each just state those people too good very make world still see own "
         "work men day get here between both life being under three never know same last another while us might "
         "great year come since against right").split()


def numbers(seed):
    """Numbers without an order that is seen, the same for the same SEED."""
    while True:
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        yield seed >> 8


def tokens(count, seed=7):
    """COUNT words as a model writes them: paragraphs, emphasis, lists, a table, code."""
    following, made = numbers(seed), []
    for at in range(count):
        word, place = WORDS[next(following) % len(WORDS)], at % 150
        if place in (90, 96, 102):
            made.append(f"\n- {word}")
        elif place == 108:
            made.append(f"\n\n*{word}*")
        elif place == 112:
            made.append(f" ={word}=")
        elif place == 120:
            made.append(f"\n\n#+begin_src python\ndef {word}(x):\n   ")
        elif place == 130:
            made.append(f"\n    return {word}\n#+end_src\n\n")
        elif place == 140:
            made.append(f".\n\n| {word} |")
        elif 140 < place < 149:
            made.append(f" {word} |")
        elif place == 149:
            made.append(f"\n| {word} | {word} |\n\n")
        else:
            made.append(word if place in (0, 131) else f" {word}")
    return made


def history(size):
    """The transcript of a chat with SIZE bytes: prompts of a line with replies of some 3,000 characters."""
    parts, length, number = [], 0, 0
    while length < size:
        number += 1
        part = (f"* USER\n{''.join(tokens(25, number))}\n"
                f"** ASSISTANT\n{''.join(tokens(600, number + 1000))}\n")
        parts.append(part)
        length += len(part)
    return "".join(parts)
