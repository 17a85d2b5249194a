/// A picture as SVG: panels side by side, in each one curve per name over a logarithmic x axis, and one legend.
/// Uses no script, no style sheet and no font of its own: any browser shows it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace presence::bench {

struct curve {
  std::string name = {};
  std::vector<std::pair<double, double>> points = {};  ///< x > 0; y from 0 to 100
};

struct panel {
  std::string title = {}, about = {};
  std::vector<curve> curves = {};
};

class chart {
 public:
  /// `names`: of the curves, in the order of the legend; the last two are bounds and are drawn dashed.
  chart(std::string title, std::string x_label, std::string y_label, std::vector<std::string> names)
      : title_{std::move(title)},
        x_label_{std::move(x_label)},
        y_label_{std::move(y_label)},
        names_{std::move(names)} {}

  std::string draw(const std::vector<panel>& panels) const {
    const std::size_t columns = panels.size() < 3 ? panels.size() : panels.size() == 4 ? 2 : 3;
    const std::size_t rows = (panels.size() + columns - 1) / columns;
    double legend_wide = 20;
    for (const auto& name : names_) legend_wide += item_wide(name);
    const double wide = std::max(static_cast<double>(columns) * 380 + 10, legend_wide);
    const double cell_wide = wide / static_cast<double>(columns);
    const double high = top + static_cast<double>(rows) * cell_high + 10;
    const std::string width = number(wide), height = number(high);
    std::string out = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " + width + " " + height +
                      "' width='" + width + "' height='" + height +
                      "' font-family='Helvetica, Arial, sans-serif' font-size='12' fill='#222'>\n" +
                      "<rect width='100%' height='100%' fill='white'/>\n";
    out += text(wide / 2, 24, title_, "text-anchor='middle' font-size='17' font-weight='bold'");
    legend(out, (wide - legend_wide) / 2 + 10);
    for (std::size_t i = 0; i < panels.size(); ++i)
      draw(out, panels[i], static_cast<double>(i % columns) * cell_wide,
           top + static_cast<double>(i / columns) * cell_high, cell_wide - left - right);
    return out + "</svg>\n";
  }

 private:
  static constexpr double cell_high = 320, top = 66;
  static constexpr double left = 58, right = 18, above = 44, below = 48;
  static constexpr double plot_high = cell_high - above - below;

  static std::string number(double v) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", v);
    std::string s = text;
    return s.ends_with(".0") ? s.substr(0, s.size() - 2) : s;
  }
  static std::string escaped(const std::string& plain) {
    std::string out;
    for (const char c : plain) {
      if (c == '&') out += "&amp;";
      else if (c == '<') out += "&lt;";
      else out += c;
    }
    return out;
  }
  static std::string text(double x, double y, const std::string& what, const std::string& how) {
    return "<text x='" + number(x) + "' y='" + number(y) + "' " + how + ">" + escaped(what) + "</text>\n";
  }
  static std::string line(double x1, double y1, double x2, double y2, const std::string& how) {
    return "<line x1='" + number(x1) + "' y1='" + number(y1) + "' x2='" + number(x2) + "' y2='" + number(y2) +
           "' " + how + "/>\n";
  }

  /// Colours that people who see fewer of them can tell apart as well (Okabe, Ito 2008).
  std::string stroke(std::size_t n) const {
    constexpr std::array colours = {"#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2", "#D55E00", "#8c8c00"};
    if (n + 2 == names_.size()) return "stroke='#000' stroke-width='1.6' stroke-dasharray='7 4'";
    if (n + 1 == names_.size()) return "stroke='#888' stroke-width='1.6' stroke-dasharray='2 3'";
    return "stroke='" + std::string{colours[n % colours.size()]} + "' stroke-width='2'";
  }
  std::string mark(std::size_t n, double x, double y, const std::string& hint) const {
    if (n + 2 >= names_.size()) return {};
    const std::string at = number(x) + "' cy='" + number(y);
    return "<circle cx='" + at + "' r='3' fill='white' " + stroke(n) + "><title>" + escaped(hint) +
           "</title></circle>\n";
  }

  void legend(std::string& out, double x) const {
    for (std::size_t n = 0; n < names_.size(); ++n) {
      out += line(x, 46, x + 30, 46, stroke(n));
      out += mark(n, x + 15, 46, names_[n]);
      out += text(x + 36, 50, names_[n], "");
      x += item_wide(names_[n]);
    }
  }
  static double item_wide(const std::string& name) { return 56 + 6.6 * static_cast<double>(name.size()); }

  void draw(std::string& out, const panel& p, double x0, double y0, double plot_wide) const {
    double least = 1e300, most = 0;
    std::vector<double> ticks;
    for (const curve& c : p.curves)
      for (const auto& [x, y] : c.points) {
        least = std::min(least, x);
        most = std::max(most, x);
        if (&c == &p.curves[0]) ticks.push_back(x);
      }
    const auto across = [&](double x) {
      return x0 + left + (most > least ? std::log(x / least) / std::log(most / least) : 0.5) * plot_wide;
    };
    const auto down = [&](double y) { return y0 + above + (100 - y) / 100 * plot_high; };

    out += text(x0 + left, y0 + 18, p.title, "font-size='14' font-weight='bold'");
    out += text(x0 + left, y0 + 34, p.about, "font-size='10.5' fill='#555'");
    for (int y = 0; y <= 100; y += 20) {
      out += line(x0 + left, down(y), x0 + left + plot_wide, down(y), y == 0 ? "stroke='#222'" : "stroke='#ddd'");
      out += text(x0 + left - 6, down(y) + 4, std::to_string(y), "text-anchor='end'");
    }
    for (const double x : ticks) {
      out += line(across(x), down(0), across(x), down(100), "stroke='#eee'");
      out += text(across(x), down(0) + 16, number(x), "text-anchor='middle'");
    }
    out += text(x0 + left + plot_wide / 2, down(0) + 34, x_label_, "text-anchor='middle' fill='#555'");
    const std::string turned = number(x0 + 20) + " " + number(down(50));
    out += text(x0 + 20, down(50), y_label_, "text-anchor='middle' fill='#555' transform='rotate(-90 " + turned + ")'");
    for (std::size_t n = names_.size(); n-- > 0;)  // the first ones on top
      for (curve c : p.curves)
        if (c.name == names_[n]) {
          out += "<polyline fill='none' stroke-linejoin='round' " + stroke(n) + " points='";
          std::sort(c.points.begin(), c.points.end());
          for (const auto& [x, y] : c.points) out += number(across(x)) + "," + number(down(y)) + " ";
          out += "'/>\n";
          for (const auto& [x, y] : c.points)
            out += mark(n, across(x), down(y), c.name + ": " + number(y) + " % at " + number(x) + " %");
        }
  }

  std::string title_, x_label_, y_label_;
  std::vector<std::string> names_;
};

}  // namespace presence::bench
