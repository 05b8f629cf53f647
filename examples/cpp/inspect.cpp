// Inspect images with a file that `differnet export` wrote, ONNX or OpenVINO:
// inspect MODEL IMAGE... [--threshold T] [--region X,Y,W,H]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <openvino/openvino.hpp>

#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

namespace {

struct Box {
    int x, y, width, height;
};

struct Options {
    std::string model;
    std::vector<std::string> images;
    std::optional<double> threshold;
    std::optional<Box> region;
};

std::optional<Options> parse(int count, char** words) {
    Options found;
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        const bool has_value = word == "--threshold" || word == "--region";
        if (has_value && i + 1 == count) return std::nullopt;
        if (word == "--threshold") {
            char* end = nullptr;
            found.threshold = std::strtod(words[++i], &end);
            if (*end != '\0') return std::nullopt;
        } else if (word == "--region") {
            Box box{};
            if (std::sscanf(words[++i], "%d,%d,%d,%d", &box.x, &box.y, &box.width, &box.height) != 4) return std::nullopt;
            found.region = box;
        } else if (found.model.empty()) {
            found.model = word;
        } else {
            found.images.push_back(word);
        }
    }
    return found.images.empty() ? std::nullopt : std::optional<Options>(found);
}

// uint8 (height, width, 3), RGB: all that the model wants to know of an image.
ov::Tensor read_image(const std::string& path, const std::optional<Box>& region) {
    if (stbi_is_16_bit(path.c_str())) throw std::runtime_error("has not 8 bits a channel; convert it");
    int width = 0, height = 0, channels = 0;
    std::uint8_t* pixels = stbi_load(path.c_str(), &width, &height, &channels, 3);
    if (pixels == nullptr) throw std::runtime_error(stbi_failure_reason());
    const Box box = region.value_or(Box{0, 0, width, height});
    const bool outside = box.x < 0 || box.y < 0 || box.width < 16 || box.height < 16 || box.x + box.width > width ||
                         box.y + box.height > height;
    if (outside) {
        stbi_image_free(pixels);
        throw std::runtime_error("the region does not lie within the image");
    }
    ov::Tensor image(ov::element::u8, {static_cast<std::size_t>(box.height), static_cast<std::size_t>(box.width), 3});
    auto* target = image.data<std::uint8_t>();
    const std::size_t row = static_cast<std::size_t>(box.width) * 3;
    for (int y = 0; y < box.height; ++y) {
        const std::size_t first = (static_cast<std::size_t>(box.y + y) * width + box.x) * 3;
        std::memcpy(target + y * row, pixels + first, row);
    }
    stbi_image_free(pixels);
    return image;
}

bool has_output(const ov::CompiledModel& model, const char* name) {
    for (const auto& output : model.outputs())
        if (output.get_names().count(name) != 0) return true;
    return false;
}

}  // namespace

int main(int count, char** words) {
    const auto options = parse(count, words);
    if (!options) {
        std::fprintf(stderr, "usage: inspect MODEL IMAGE... [--threshold T] [--region X,Y,WIDTH,HEIGHT]\n");
        return 2;
    }
    const char* const decisions[] = {"accept", "review", "reject"};
    int failed = 0;
    try {
        ov::Core core;
        // OpenVINO takes bfloat16 by itself where the processor has it, and the threshold would not hold.
        auto model = core.compile_model(options->model, "CPU", ov::hint::inference_precision(ov::element::f32));
        const bool judged = has_output(model, "decision");
        auto request = model.create_infer_request();
        for (const auto& path : options->images) {
            try {
                request.set_tensor("image", read_image(path, options->region));
                request.infer();
                const float score = request.get_tensor("score").data<float>()[0];
                std::string decision = judged ? decisions[request.get_tensor("decision").data<std::int64_t>()[0]] : "";
                if (options->threshold) decision = score > *options->threshold ? "reject" : "accept";
                std::printf("%.9g\t%s\t%s\n", score, decision.c_str(), path.c_str());
            } catch (const std::exception& error) {
                std::fprintf(stderr, "%s: %s\n", path.c_str(), error.what());
                failed = 1;
            }
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", options->model.c_str(), error.what());
        return 1;
    }
    return failed;
}
